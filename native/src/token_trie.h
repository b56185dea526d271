// The texts of a vocabulary's tokens as a tree by bytes: what a grammar refuses at one node, it refuses for all tokens below.
#pragma once

#include <llama.h>

#include <cstdint>
#include <string_view>
#include <vector>

class TokenTrie {
public:
    explicit TokenTrie(const llama_vocab* vocab);

    struct Node {
        /** Behind the last node below this one. */
        uint32_t end;
        /** Into `byText`: the tokens whose text ends here lie from this to the next node's. */
        uint32_t firstToken;
        /** Bytes from the root, this one included. */
        uint16_t depth;
        uint8_t byte;
    };

    int32_t size() const { return static_cast<int32_t>(offsets.size()) - 1; }
    /** With the text of control tokens. Empty: no text, or one that no grammar can match. */
    std::string_view textOf(llama_token token) const { return {texts.data() + offsets[token], offsets[token + 1] - offsets[token]}; }
    bool endsText(llama_token token) const { return kinds[token] == endOfText; }
    bool isControl(llama_token token) const { return kinds[token] == control; }

    /** In the order of the tree; the first is the root, one more stands behind the last. */
    std::vector<Node> nodes;
    /** Tokens in the order of their texts, without those that end the text. */
    std::vector<llama_token> byText;
    std::vector<llama_token> textEnds;
    uint16_t greatestDepth = 0;

private:
    enum Kind : uint8_t { text, control, endOfText };

    std::vector<char> texts;
    std::vector<uint32_t> offsets;
    std::vector<uint8_t> kinds;
};
