#include "grammar.h"

#include <algorithm>

#include "session.h"

namespace {

/** Of the masks of one session. */
constexpr size_t mostMaskBytes = size_t(32) << 20;
/** Of the automata of one session, but for those that texts are following. */
constexpr size_t mostAutomataBytes = size_t(64) << 20;
/** An automaton that has grown beyond this is left behind. */
constexpr size_t largeAutomatonBytes = size_t(16) << 20;
/** Stacks that may be looked at for one text, beyond what others under the same grammar have left behind: seconds. */
constexpr uint64_t mostStepsOfText = 10'000'000;

} // namespace

TokenMask::TokenMask(std::vector<llama_token> allowed, int32_t vocabularySize) : tokens(std::move(allowed)) {
    const size_t words = (static_cast<size_t>(vocabularySize) + 63) / 64;
    if (tokens.size() * sizeof(llama_token) <= words * sizeof(uint64_t)) {
        std::sort(tokens.begin(), tokens.end());
        tokens.shrink_to_fit();
        return;
    }
    bits.resize(words);
    for (const llama_token token : tokens) bits[token / 64] |= uint64_t(1) << (token % 64);
    tokens = {};
}

const TokenTrie& GrammarVocabulary::trie() {
    if (tokens == nullptr) tokens = std::make_unique<TokenTrie>(vocab);
    return *tokens;
}

std::shared_ptr<const TokenMask> GrammarVocabulary::find(const MaskKey& key) {
    const auto found = byKey.find(key);
    if (found == byKey.end()) return nullptr;
    entries.splice(entries.begin(), entries, found->second);
    return found->second->mask;
}

void GrammarVocabulary::keep(const MaskKey& key, std::shared_ptr<const TokenMask> mask) {
    sizeBytes += mask->sizeBytes();
    entries.push_front({key, std::move(mask)});
    byKey[key] = entries.begin();
    while (sizeBytes > mostMaskBytes && entries.size() > 1) {
        sizeBytes -= entries.back().mask->sizeBytes();
        byKey.erase(entries.back().key);
        entries.pop_back();
    }
}

void GrammarVocabulary::use(const std::shared_ptr<CompiledGrammar>& grammar) {
    if (!grammars.empty() && grammars.front().lock() == grammar) return;
    grammars.remove_if([&](const std::weak_ptr<CompiledGrammar>& entry) {
        const auto other = entry.lock();
        return other == nullptr || other == grammar || other->automaton == nullptr;
    });
    grammars.push_front(grammar);
    size_t together = 0;
    for (const auto& entry : grammars) {
        const auto other = entry.lock();
        if (other == nullptr || other->automaton == nullptr) continue;
        together += other->automaton->sizeBytes();
        if (together <= mostAutomataBytes || other->automaton.use_count() > 1) continue;
        together -= other->automaton->sizeBytes();
        other->automaton.reset();
    }
}

void GrammarVocabulary::release() {
    for (const auto& entry : grammars)
        if (const auto grammar = entry.lock()) grammar->automaton.reset();
    grammars.clear();
    byKey.clear();
    entries.clear();
    sizeBytes = 0;
    tokens.reset();
}

CompiledGrammar::CompiledGrammar(std::shared_ptr<GrammarVocabulary> vocabulary, GrammarRules rules, std::vector<std::string> preserved)
    : vocabulary(std::move(vocabulary)), rules(std::move(rules)), preserved(std::move(preserved)) {}

const TokenTrie& CompiledGrammar::trie() { return vocabulary->trie(); }

bool CompiledGrammar::isWritten(llama_token token) {
    return !trie().isControl(token) || std::find(preserved.begin(), preserved.end(), trie().textOf(token)) != preserved.end();
}

/** Before each piece of work. */
void GrammarMatcher::begin() {
    auto& current = grammar->automaton;
    if (current == nullptr || current->sizeBytes() > largeAutomatonBytes) current = std::make_shared<GrammarAutomaton>(grammar->rules);
    current->beginWork();
    if (automaton == current) return;
    const int32_t state = automaton == nullptr ? current->start() : current->adopt(*automaton, place.state);
    if (state == GrammarAutomaton::none) throw GrammarError("The grammar matches no text.");
    place.state = state;
    automaton = current;
}

void GrammarMatcher::end() {
    steps += automaton->steps();
    if (steps > mostStepsOfText) throw GrammarError("The grammar is too ambiguous: the text can be read in too many ways.");
}

bool GrammarMatcher::mayBecomeRight(const GrammarPlace& at) {
    const auto& rules = grammar->rules;
    const uint32_t first = at.character.first();
    const uint32_t last = at.character.last();
    if (first > last) return false;
    for (uint32_t characterClass = rules.classOf(first); characterClass < rules.classes() && rules.firstOf(characterClass) <= last; characterClass++) {
        const uint32_t start = rules.firstOf(characterClass);
        if (start >= firstSurrogate && start <= lastSurrogate) continue;
        if (automaton->next(at.state, characterClass) != GrammarAutomaton::none) return true;
    }
    return false;
}

/** False where the byte may not follow; the place is of no use then. */
bool GrammarMatcher::step(GrammarPlace& at, uint8_t byte) {
    uint32_t codePoint = byte;
    if (at.character.remaining == 0 && byte >= 0x80) {
        if (!at.character.begin(byte)) return false;
        return mayBecomeRight(at);
    }
    if (at.character.remaining > 0) {
        if (!at.character.append(byte)) return false;
        if (at.character.remaining > 0) return mayBecomeRight(at);
        codePoint = at.character.value;
        at.character = {};
    }
    at.state = automaton->next(at.state, grammar->rules.classOf(codePoint));
    return at.state != GrammarAutomaton::none;
}

bool GrammarMatcher::walk(GrammarPlace& at, std::string_view text) {
    if (text.empty()) return false;
    for (const char byte : text)
        if (!step(at, static_cast<uint8_t>(byte))) return false;
    return true;
}

bool GrammarMatcher::isComplete() {
    begin();
    return place.character.remaining == 0 && automaton->isComplete(place.state);
}

bool GrammarMatcher::allows(llama_token token) {
    begin();
    const auto& trie = grammar->trie();
    if (trie.endsText(token)) return place.character.remaining == 0 && automaton->isComplete(place.state);
    if (!grammar->isWritten(token)) return false;
    GrammarPlace at = place;
    const bool isRight = walk(at, trie.textOf(token));
    end();
    return isRight;
}

std::vector<llama_token> GrammarMatcher::findAllowed() {
    const auto& trie = grammar->trie();
    std::vector<llama_token> allowed;
    if (place.character.remaining == 0 && automaton->isComplete(place.state)) {
        allowed = trie.textEnds;
        if (automaton->isOver(place.state)) return allowed;
    }
    /** By depth: where the text stands after the bytes from the root. */
    std::vector<GrammarPlace> places(trie.greatestDepth + 1u);
    places[0] = place;
    const auto& nodes = trie.nodes;
    const auto end = static_cast<uint32_t>(nodes.size()) - 1;
    for (uint32_t index = 1; index < end;) {
        const auto& node = nodes[index];
        GrammarPlace at = places[node.depth - 1u];
        if (!step(at, node.byte)) {
            index = node.end;
            continue;
        }
        places[node.depth] = at;
        for (uint32_t token = node.firstToken; token < nodes[index + 1].firstToken; token++)
            if (grammar->isWritten(trie.byText[token])) allowed.push_back(trie.byText[token]);
        index++;
    }
    return allowed;
}

std::shared_ptr<const TokenMask> GrammarMatcher::knownAllowed() {
    begin();
    return grammar->vocabulary->find({automaton->id, place});
}

std::shared_ptr<const TokenMask> GrammarMatcher::allowed() {
    auto mask = knownAllowed();
    if (mask != nullptr) return mask;
    const GrammarVocabulary::MaskKey key{automaton->id, place};
    mask = std::make_shared<const TokenMask>(findAllowed(), grammar->trie().size());
    end();
    grammar->vocabulary->keep(key, mask);
    return mask;
}

void GrammarMatcher::accept(llama_token token) {
    begin();
    grammar->vocabulary->use(grammar);
    const auto& trie = grammar->trie();
    if (trie.endsText(token)) return;
    GrammarPlace at = place;
    if (!walk(at, trie.textOf(token))) throw GrammarError("The text does not match its grammar.");
    place = at;
    end();
}

Grammar::Grammar(const Napi::CallbackInfo& info) : Napi::ObjectWrap<Grammar>(info) {
    const auto sessionObject = info[0].As<Napi::Object>();
    auto* owner = Session::Unwrap(sessionObject);
    const auto elements = info[1].As<Napi::Int32Array>();
    const auto texts = info[2].As<Napi::Array>();
    std::vector<std::string> preserved;
    for (uint32_t index = 0; index < texts.Length(); index++) preserved.push_back(texts.Get(index).As<Napi::String>());
    try {
        grammar = std::make_shared<CompiledGrammar>(
            owner->grammarVocabulary, GrammarRules(elements.Data(), elements.ElementLength()), std::move(preserved));
    } catch (const std::invalid_argument& error) {
        throw Napi::TypeError::New(info.Env(), error.what());
    }
    session = Napi::Persistent(sessionObject);
}

Napi::Function Grammar::define(Napi::Env env) {
    return DefineClass(env, "Grammar", {InstanceMethod<&Grammar::allowedAfter>("allowedAfter")});
}

// allowedAfter(tokens): the tokens that may follow these, ascending. Not while a pass is under way.
Napi::Value Grammar::allowedAfter(const Napi::CallbackInfo& info) {
    const auto env = info.Env();
    const auto* owner = Session::Unwrap(session.Value());
    if (owner->context == nullptr || owner->isDecoding) throw Napi::Error::New(env, "the session is closed, or a pass is under way");
    const auto tokens = info[0].As<Napi::Int32Array>();
    std::vector<llama_token> allowed;
    try {
        GrammarMatcher matcher(grammar);
        for (size_t index = 0; index < tokens.ElementLength(); index++) {
            if (tokens[index] < 0 || tokens[index] >= owner->vocabularySize) throw Napi::RangeError::New(env, "a token is out of range");
            matcher.accept(tokens[index]);
        }
        const auto mask = matcher.allowed();
        if (mask->few() != nullptr) allowed = *mask->few();
        else
            for (llama_token token = 0; token < owner->vocabularySize; token++)
                if ((mask->all()[token / 64] >> (token % 64) & 1) != 0) allowed.push_back(token);
    } catch (const GrammarError& error) {
        throw Napi::Error::New(env, error.what());
    }
    auto answer = Napi::Int32Array::New(env, allowed.size());
    std::copy(allowed.begin(), allowed.end(), answer.Data());
    return answer;
}
