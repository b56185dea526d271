// What a grammar lets a vocabulary's tokens write. Rules, automaton and masks are shared by all texts under the same grammar;
// a matcher is one text's place in it. All but the constructors belong to the computing thread.
#pragma once

#include <napi.h>

#include <list>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "grammar_automaton.h"
#include "token_trie.h"
#include "utf8.h"

/** Which tokens may follow. */
class TokenMask {
public:
    TokenMask(std::vector<llama_token> allowed, int32_t vocabularySize);

    bool isEmpty() const { return bits.empty() && tokens.empty(); }
    /** The tokens, ascending, where they are so few that they take less memory than a bit for each of the vocabulary. */
    const std::vector<llama_token>* few() const { return bits.empty() ? &tokens : nullptr; }
    /** Else a bit for each token. */
    const std::vector<uint64_t>& all() const { return bits; }
    size_t sizeBytes() const { return bits.capacity() * sizeof(uint64_t) + tokens.capacity() * sizeof(llama_token) + sizeof(*this); }

private:
    std::vector<llama_token> tokens;
    std::vector<uint64_t> bits;
};

/** A place in a text under a grammar. */
struct GrammarPlace {
    int32_t state = 0;
    PartialCharacter character;
};

class CompiledGrammar;

/** Of one session: the vocabulary as grammars need it, made when the first of them is used, and what was used last of masks
 * and automata. */
class GrammarVocabulary {
public:
    explicit GrammarVocabulary(const llama_vocab* vocab) : vocab(vocab) {}

    /** The model must be open when this is called for the first time. */
    const TokenTrie& trie();

    struct MaskKey {
        uint64_t automaton;
        GrammarPlace place;
        bool operator==(const MaskKey& other) const {
            return automaton == other.automaton && place.state == other.place.state && place.character == other.place.character;
        }
    };

    std::shared_ptr<const TokenMask> find(const MaskKey& key);
    void keep(const MaskKey& key, std::shared_ptr<const TokenMask> mask);

    /** A text under this grammar goes on: of those that no text follows any more, the ones used longest ago lose their
     * automata where all together have grown large. */
    void use(const std::shared_ptr<CompiledGrammar>& grammar);
    /** Frees what texts have left behind. Nothing may be matched after it. */
    void release();

private:
    struct HashKey {
        size_t operator()(const MaskKey& key) const {
            const auto& [state, character] = key.place;
            return (key.automaton * 1099511628211u ^ static_cast<uint32_t>(state)) * 1099511628211u ^ character.value << 8 ^ character.remaining;
        }
    };
    struct Entry {
        MaskKey key;
        std::shared_ptr<const TokenMask> mask;
    };

    const llama_vocab* vocab;
    std::unique_ptr<TokenTrie> tokens;
    /** The one used last comes first. */
    std::list<Entry> entries;
    std::unordered_map<MaskKey, std::list<Entry>::iterator, HashKey> byKey;
    size_t sizeBytes = 0;
    /** Those with an automaton; the one used last comes first. */
    std::list<std::weak_ptr<CompiledGrammar>> grammars;
};

class CompiledGrammar {
public:
    /** `preserved`: texts of control tokens that are written; others write nothing, so none of them may stand for its text. */
    CompiledGrammar(std::shared_ptr<GrammarVocabulary> vocabulary, GrammarRules rules, std::vector<std::string> preserved);

private:
    friend class GrammarMatcher;
    friend class GrammarVocabulary;

    const TokenTrie& trie();
    bool isWritten(llama_token token);

    std::shared_ptr<GrammarVocabulary> vocabulary;
    const GrammarRules rules;
    std::vector<std::string> preserved;
    /** Replaced by an empty one when it has grown large; matchers take their places along. */
    std::shared_ptr<GrammarAutomaton> automaton;
};

/** All of these throw GrammarError where the grammar is too ambiguous. */
class GrammarMatcher {
public:
    explicit GrammarMatcher(std::shared_ptr<CompiledGrammar> grammar) : grammar(std::move(grammar)) {}

    /** Whether this token may come next. */
    bool allows(llama_token token);
    /** The tokens that may come next; null where that is still to be found out. */
    std::shared_ptr<const TokenMask> knownAllowed();
    /** The tokens that may come next. */
    std::shared_ptr<const TokenMask> allowed();
    /** The token is part of the text now. It must be one that may come next. */
    void accept(llama_token token);
    /** Whether the text may end here. */
    bool isComplete();

private:
    void begin();
    /** Counts the work done for this text since begin(). */
    void end();
    bool step(GrammarPlace& place, uint8_t byte);
    /** Whether any of the characters that may still come of the bytes would be right. */
    bool mayBecomeRight(const GrammarPlace& place);
    bool walk(GrammarPlace& place, std::string_view text);
    std::vector<llama_token> findAllowed();

    std::shared_ptr<CompiledGrammar> grammar;
    std::shared_ptr<GrammarAutomaton> automaton;
    GrammarPlace place;
    uint64_t steps = 0;
};

/** The JavaScript class: see NativeGrammarHandle in src/engine/llama/native-exports.ts. */
class Grammar : public Napi::ObjectWrap<Grammar> {
public:
    /** new Grammar(session, elements, preservedTokens). */
    explicit Grammar(const Napi::CallbackInfo& info);
    static Napi::Function define(Napi::Env env);

    const std::shared_ptr<CompiledGrammar>& compiled() const { return grammar; }

private:
    Napi::Value allowedAfter(const Napi::CallbackInfo& info);

    std::shared_ptr<CompiledGrammar> grammar;
    Napi::ObjectReference session;
};
