#include "token_trie.h"

#include <algorithm>
#include <string>

namespace {

/** Longer texts are none that a grammar could match in any sensible time. */
constexpr size_t longestText = 4096;

std::string textWithControl(const llama_vocab* vocab, llama_token token) {
    std::string text(64, '\0');
    int32_t length = llama_token_to_piece(vocab, token, text.data(), static_cast<int32_t>(text.size()), 0, true);
    if (length < 0) {
        text.resize(-length);
        length = llama_token_to_piece(vocab, token, text.data(), static_cast<int32_t>(text.size()), 0, true);
    }
    text.resize(std::max(length, 0));
    // NUL ends a text for llama.cpp's grammars: such a token would write more than was matched.
    if (text.size() > longestText || text.find('\0') != std::string::npos) text.clear();
    return text;
}

} // namespace

TokenTrie::TokenTrie(const llama_vocab* vocab) {
    const int32_t count = llama_vocab_n_tokens(vocab);
    offsets.reserve(count + 1);
    offsets.push_back(0);
    kinds.resize(count, text);
    for (llama_token token = 0; token < count; token++) {
        const std::string piece = textWithControl(vocab, token);
        texts.insert(texts.end(), piece.begin(), piece.end());
        offsets.push_back(static_cast<uint32_t>(texts.size()));
        if (llama_vocab_is_eog(vocab, token)) {
            kinds[token] = endOfText;
            textEnds.push_back(token);
            continue;
        }
        if ((llama_vocab_get_attr(vocab, token) & (LLAMA_TOKEN_ATTR_CONTROL | LLAMA_TOKEN_ATTR_UNKNOWN)) != 0) kinds[token] = control;
        if (!piece.empty()) byText.push_back(token);
    }
    std::sort(byText.begin(), byText.end(), [this](llama_token left, llama_token right) {
        const int order = textOf(left).compare(textOf(right));
        return order < 0 || (order == 0 && left < right);
    });
    nodes.push_back({0, 0, 0, 0});
    /** The nodes from the root to the last one. */
    std::vector<uint32_t> path{0};
    std::string_view before;
    for (uint32_t index = 0; index < byText.size(); index++) {
        const auto current = textOf(byText[index]);
        size_t shared = 0;
        while (shared < before.size() && shared < current.size() && before[shared] == current[shared]) shared++;
        while (path.size() > shared + 1) {
            nodes[path.back()].end = static_cast<uint32_t>(nodes.size());
            path.pop_back();
        }
        for (size_t depth = shared; depth < current.size(); depth++) {
            path.push_back(static_cast<uint32_t>(nodes.size()));
            nodes.push_back({0, index, static_cast<uint16_t>(depth + 1), static_cast<uint8_t>(current[depth])});
        }
        greatestDepth = std::max(greatestDepth, static_cast<uint16_t>(current.size()));
        before = current;
    }
    for (const uint32_t node : path) nodes[node].end = static_cast<uint32_t>(nodes.size());
    nodes.push_back({static_cast<uint32_t>(nodes.size()) + 1, static_cast<uint32_t>(byText.size()), 0, 0});
    nodes.shrink_to_fit();
    texts.shrink_to_fit();
}
