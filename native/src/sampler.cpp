#include "sampler.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "session.h"

namespace {

constexpr int32_t blockTokens = 64;

/** Each costs a look at the whole vocabulary. */
constexpr size_t mostBreakers = 64;
/** A grammar is asked for single tokens where no more than a few times these are to be looked at. */
constexpr int32_t mostAskedFor = 256;

float numberOf(const Napi::Object& config, const char* name) { return config.Get(name).As<Napi::Number>().FloatValue(); }
int32_t integerOf(const Napi::Object& config, const char* name) { return config.Get(name).As<Napi::Number>().Int32Value(); }

int32_t bitsOf(float value) {
    int32_t bits;
    std::memcpy(&bits, &value, sizeof(bits));
    return bits;
}

/** The largest of each block of 64 logits: one pass that the compiler vectorises, and all that most choices need to see. */
void findBlockMaxima(const float* logits, int32_t count, std::vector<float>& maxima) {
    const int32_t blocks = (count + blockTokens - 1) / blockTokens;
    maxima.resize(blocks);
    for (int32_t block = 0; block < blocks; block++) {
        const float* start = logits + static_cast<size_t>(block) * blockTokens;
        const int32_t length = std::min(blockTokens, count - block * blockTokens);
        if (length == blockTokens) {
            float lanes[16];
            for (int lane = 0; lane < 16; lane++) lanes[lane] = start[lane];
            for (int offset = 16; offset < blockTokens; offset += 16)
                for (int lane = 0; lane < 16; lane++) lanes[lane] = start[offset + lane] > lanes[lane] ? start[offset + lane] : lanes[lane];
            float most = lanes[0];
            for (int lane = 1; lane < 16; lane++) most = lanes[lane] > most ? lanes[lane] : most;
            maxima[block] = most;
        } else {
            maxima[block] = *std::max_element(start, start + length);
        }
    }
}

/** The first of the largest, as llama.cpp's greedy sampler chooses. */
llama_token indexOfMaximum(const float* logits, int32_t count, std::vector<float>& maxima) {
    findBlockMaxima(logits, count, maxima);
    const auto block = static_cast<int32_t>(std::max_element(maxima.begin(), maxima.end()) - maxima.begin());
    const float* start = logits + static_cast<size_t>(block) * blockTokens;
    const int32_t length = std::min(blockTokens, count - block * blockTokens);
    return block * blockTokens + static_cast<int32_t>(std::max_element(start, start + length) - start);
}

/** Leaves the `wanted` largest among the candidates, in descending order. Whatever is among them is at least the `wanted`-th largest block maximum. */
void selectTop(const float* logits, int32_t count, int32_t wanted, SamplingScratch& scratch) {
    auto& top = scratch.candidates;
    auto& maxima = scratch.blockMaxima;
    auto& order = scratch.order;
    findBlockMaxima(logits, count, maxima);
    float threshold = -INFINITY;
    if (static_cast<size_t>(wanted) < maxima.size()) {
        order = maxima;
        std::nth_element(order.begin(), order.begin() + (wanted - 1), order.end(), std::greater<float>());
        threshold = order[wanted - 1];
    }
    top.clear();
    for (size_t block = 0; block < maxima.size(); block++) {
        if (!(maxima[block] >= threshold)) continue;
        const int32_t first = static_cast<int32_t>(block) * blockTokens;
        const int32_t end = std::min(first + blockTokens, count);
        for (int32_t token = first; token < end; token++)
            if (logits[token] >= threshold && logits[token] > -INFINITY) top.push_back({token, logits[token], 0.0f});
    }
    const auto kept = std::min(static_cast<size_t>(wanted), top.size());
    std::partial_sort(top.begin(), top.begin() + kept, top.end(), [](const llama_token_data& left, const llama_token_data& right) {
        return left.logit > right.logit || (left.logit == right.logit && left.id < right.id);
    });
    top.resize(kept);
}

} // namespace

Sampler::Sampler(const Napi::CallbackInfo& info) : Napi::ObjectWrap<Sampler>(info) {
    const auto* session = Session::Unwrap(info[0].As<Napi::Object>());
    if (session->context == nullptr) throw Napi::Error::New(info.Env(), "the session is closed");
    vocab = session->vocabulary();
    const auto config = info[1].As<Napi::Object>();
    const auto contextTokens = static_cast<int32_t>(llama_n_ctx_seq(session->context));
    const auto window = [&](const char* name) {
        const int32_t tokens = integerOf(config, name);
        return tokens < 0 ? contextTokens : std::min(tokens, contextTokens);
    };
    temperature = numberOf(config, "temperature");
    topK = integerOf(config, "topK");
    repeatPenalty = numberOf(config, "repeatPenalty");
    presencePenalty = numberOf(config, "presencePenalty");
    frequencyPenalty = numberOf(config, "frequencyPenalty");
    if (repeatPenalty != 1 || presencePenalty != 0 || frequencyPenalty != 0) penalized = TokenWindow(window("repeatLastN"));
    const auto breakers = config.Get("drySequenceBreakers").As<Napi::Array>();
    if (breakers.Length() > mostBreakers) throw Napi::RangeError::New(info.Env(), "too many DRY sequence breakers");
    drySettings = {numberOf(config, "dryMultiplier"), numberOf(config, "dryBase"), integerOf(config, "dryAllowedLength"), window("dryPenaltyLastN"), {}};
    for (uint32_t index = 0; index < breakers.Length(); index++) drySettings.breakers.push_back(breakers.Get(index).As<Napi::String>());
    if (drySettings.isOn()) dryWindow = TokenWindow(drySettings.penaltyLastTokens);
    const auto history = config.Get("history").As<Napi::Int32Array>();
    for (size_t index = 0; index < history.ElementLength(); index++) {
        penalized.push(history[index]);
        dryWindow.push(history[index]);
    }
    const auto biased = config.Get("biasedTokens").As<Napi::Int32Array>();
    const auto added = config.Get("addedLogits").As<Napi::Float32Array>();
    for (size_t index = 0; index < std::min(biased.ElementLength(), added.ElementLength()); index++) {
        if (biased[index] < 0 || biased[index] >= session->vocabularySize) throw Napi::RangeError::New(info.Env(), "a biased token is out of range");
        biases.push_back({biased[index], added[index]});
    }
    if (config.Get("ignoreEos").ToBoolean())
        for (llama_token token = 0; token < session->vocabularySize; token++)
            if (endsText(token)) biases.push_back({token, -INFINITY});
    int32_t count = 0;
    const llama_token* suppressed = llama_vocab_get_suppress_tokens(vocab, &count);
    for (int32_t index = 0; index < count; index++) biases.push_back({suppressed[index], -INFINITY});
    if (!config.Get("grammar").IsNull()) grammar.emplace(Grammar::Unwrap(config.Get("grammar").As<Napi::Object>())->compiled());
    if (!config.Get("topLogprobs").IsNull()) topLogprobs = integerOf(config, "topLogprobs");

    const float topNSigma = numberOf(config, "topNSigma");
    const float typicalP = numberOf(config, "typicalP");
    const float topP = numberOf(config, "topP");
    const float minP = numberOf(config, "minP");
    const float xtcProbability = numberOf(config, "xtcProbability");
    const float xtcThreshold = numberOf(config, "xtcThreshold");
    const auto seed = config.Get("seed").As<Napi::Number>().Uint32Value();
    const bool hasXtc = xtcProbability > 0 && xtcThreshold <= 0.5f;
    // What else there is keeps the likeliest, and at temperature 0 that is all that counts.
    if (temperature <= 0 && typicalP >= 1 && !hasXtc) return;
    looksAtAll = topNSigma > 0;
    drawsForTwo = hasXtc;
    chain = llama_sampler_chain_init(llama_sampler_chain_default_params());
    if (looksAtAll) {
        llama_sampler_chain_add(chain, llama_sampler_init_top_n_sigma(topNSigma));
        llama_sampler_chain_add(chain, llama_sampler_init_top_k(topK));
    }
    llama_sampler_chain_add(chain, llama_sampler_init_typical(typicalP, 0));
    llama_sampler_chain_add(chain, llama_sampler_init_top_p(topP, 0));
    llama_sampler_chain_add(chain, llama_sampler_init_min_p(minP, 0));
    llama_sampler_chain_add(chain, llama_sampler_init_xtc(xtcProbability, xtcThreshold, 0, seed));
    llama_sampler_chain_add(chain, llama_sampler_init_temp(temperature));
    llama_sampler_chain_add(chain, llama_sampler_init_dist(seed));
}

Sampler::~Sampler() { release(); }

Napi::Function Sampler::define(Napi::Env env) { return DefineClass(env, "Sampler", {InstanceMethod<&Sampler::close>("close")}); }

// Its memory, and what its grammar's automaton takes, is free after this; nothing can be chosen with it any more.
Napi::Value Sampler::close(const Napi::CallbackInfo& info) {
    if (passes > 0) throw Napi::Error::New(info.Env(), "a pass is under way");
    release();
    isLost = true;
    return info.Env().Undefined();
}

void Sampler::release() {
    if (chain != nullptr) llama_sampler_free(chain);
    if (dry != nullptr) llama_sampler_free(dry);
    chain = nullptr;
    dry = nullptr;
    grammar.reset();
    penalized = TokenWindow();
    dryWindow = TokenWindow();
}

void Sampler::accept(llama_token token) {
    penalized.push(token);
    dryWindow.push(token);
    if (dry != nullptr) llama_sampler_accept(dry, token);
    if (!grammar) return;
    try {
        grammar->accept(token);
    } catch (const GrammarError&) {
        isLost = true;
    }
}

void Sampler::set(float* logits, llama_token token, float logit) {
    if (topLogprobs >= 0) original.emplace_back(token, logits[token]);
    logits[token] = logit;
}

/** The arithmetic of llama.cpp's biases and penalties, for the few tokens that they change. */
void Sampler::change(float* logits, SamplingScratch& scratch) {
    for (const auto& [token, bias] : biases) set(logits, token, logits[token] + bias);
    for (const auto& [token, count] : penalized.occurrences()) {
        float logit = logits[token];
        if (logit <= 0) logit *= repeatPenalty;
        else logit /= repeatPenalty;
        logit -= static_cast<float>(count) * frequencyPenalty + presencePenalty;
        set(logits, token, logit);
    }
    if (!dryWindow.isOpen()) return;
    if (dry == nullptr) {
        dry = scratch.drySamplers.create(vocab, drySettings);
        for (const llama_token token : dryWindow.all()) llama_sampler_accept(dry, token);
    }
    // It changes none but tokens that have occurred.
    auto& repeatable = scratch.candidates;
    repeatable.clear();
    for (const auto& [token, count] : dryWindow.occurrences()) repeatable.push_back({token, logits[token], 0.0f});
    llama_token_data_array array = {repeatable.data(), repeatable.size(), -1, false};
    llama_sampler_apply(dry, &array);
    for (size_t index = 0; index < array.size; index++)
        if (logits[array.data[index].id] != array.data[index].logit) set(logits, array.data[index].id, array.data[index].logit);
}

llama_token Sampler::sample(float* logits, int32_t count, SamplingScratch& scratch) {
    if (isLost) return grammarTooAmbiguous;
    original.clear();
    if (topLogprobs >= 0) logprobs = findLogprobs(logits, count, topLogprobs);
    change(logits, scratch);
    llama_token token = choose(logits, count, scratch);
    if (grammar) {
        try {
            if (token < 0 || !grammar->allows(token)) token = chooseUnderGrammar(logits, count, scratch);
        } catch (const GrammarError&) {
            token = grammarTooAmbiguous;
        }
    }
    if (topLogprobs >= 0 && token >= 0) {
        const auto before = std::find_if(original.begin(), original.end(), [token](const auto& entry) { return entry.first == token; });
        chosenLogprob = (before == original.end() ? logits[token] : before->second) - logprobs.logOfSum;
    }
    return token;
}

void Sampler::appendLogprobs(std::vector<int32_t>& values) const {
    values.push_back(bitsOf(chosenLogprob));
    for (const auto& entry : logprobs.top) values.push_back(entry.first);
    values.resize(values.size() + topLogprobs - logprobs.top.size(), -1);
    for (const auto& entry : logprobs.top) values.push_back(bitsOf(entry.second));
    values.resize(values.size() + topLogprobs - logprobs.top.size(), 0);
}

llama_token Sampler::choose(float* logits, int32_t count, SamplingScratch& scratch) {
    if (isGreedy()) {
        const llama_token token = indexOfMaximum(logits, count, scratch.blockMaxima);
        return logits[token] > -INFINITY ? token : noCandidate;
    }
    auto& candidates = scratch.candidates;
    if (topK > 0 && topK < count && !looksAtAll) {
        selectTop(logits, count, topK, scratch);
        return sampleFrom(candidates, true);
    }
    candidates.clear();
    for (llama_token token = 0; token < count; token++)
        if (logits[token] > -INFINITY) candidates.push_back({token, logits[token], 0.0f});
    return sampleFrom(candidates, false);
}

llama_token Sampler::chooseUnderGrammar(float* logits, int32_t count, SamplingScratch& scratch) {
    auto mask = grammar->knownAllowed();
    if (mask == nullptr) {
        if (const auto token = chooseAmongLikeliest(logits, count, scratch)) return *token;
        mask = grammar->allowed();
    }
    const llama_token token = mask->isEmpty() ? noCandidate : chooseAmong(*mask, logits, count, scratch);
    return token < 0 && !grammar->isComplete() ? grammarDeadEnd : token;
}

/** As among all that the grammar allows, where enough of the likeliest are: to ask for each of these is less than to find all. */
std::optional<llama_token> Sampler::chooseAmongLikeliest(const float* logits, int32_t count, SamplingScratch& scratch) {
    if (!isGreedy() && (topK <= 0 || topK > mostAskedFor || looksAtAll)) return std::nullopt;
    const auto needed = static_cast<size_t>(isGreedy() ? 1 : topK);
    const int32_t asked = isGreedy() ? mostAskedFor / 4 : topK * 4;
    if (asked >= count) return std::nullopt;
    selectTop(logits, count, asked, scratch);
    auto& candidates = scratch.candidates;
    size_t kept = 0;
    for (size_t index = 0; index < candidates.size() && kept < needed; index++)
        if (grammar->allows(candidates[index].id)) candidates[kept++] = candidates[index];
    if (kept < needed) return std::nullopt;
    candidates.resize(kept);
    return isGreedy() ? candidates[0].id : sampleFrom(candidates, true);
}

/** As llama-server after it has set the logits of all other tokens to minus infinity. */
llama_token Sampler::chooseAmong(const TokenMask& mask, float* logits, int32_t count, SamplingScratch& scratch) {
    const auto* few = mask.few();
    if (few == nullptr) {
        const auto& bits = mask.all();
        for (size_t word = 0; word < bits.size(); word++) {
            if (bits[word] == ~uint64_t(0)) continue;
            const auto end = std::min(static_cast<int32_t>(word) * 64 + 64, count);
            for (int32_t token = static_cast<int32_t>(word) * 64; token < end; token++)
                if ((bits[word] >> (token % 64) & 1) == 0) logits[token] = -INFINITY;
        }
        return choose(logits, count, scratch);
    }
    auto& candidates = scratch.candidates;
    candidates.clear();
    for (const llama_token token : *few)
        if (logits[token] > -INFINITY) candidates.push_back({token, logits[token], 0.0f});
    if (candidates.empty()) return noCandidate;
    const auto isLikelier = [](const llama_token_data& left, const llama_token_data& right) {
        return left.logit > right.logit || (left.logit == right.logit && left.id < right.id);
    };
    if (isGreedy()) return std::min_element(candidates.begin(), candidates.end(), isLikelier)->id;
    // XTC draws a number where there is a second candidate, and refused ones are candidates for llama-server.
    if (drawsForTwo && candidates.size() == 1) candidates.push_back({candidates[0].id == 0 ? 1 : 0, -INFINITY, 0.0f});
    const bool isCut = topK > 0 && !looksAtAll;
    if (isCut) {
        const auto kept = std::min(static_cast<size_t>(topK), candidates.size());
        std::partial_sort(candidates.begin(), candidates.begin() + static_cast<int64_t>(kept), candidates.end(), isLikelier);
        candidates.resize(kept);
    }
    return sampleFrom(candidates, isCut);
}

llama_token Sampler::sampleFrom(std::vector<llama_token_data>& from, bool sorted) {
    if (from.empty()) return noCandidate;
    llama_token_data_array array = {from.data(), from.size(), -1, sorted};
    llama_sampler_apply(chain, &array);
    return array.selected >= 0 && static_cast<size_t>(array.selected) < array.size ? array.data[array.selected].id : noCandidate;
}
