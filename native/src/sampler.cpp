#include "sampler.h"

#include <algorithm>
#include <cmath>

#include "session.h"

namespace {

constexpr int32_t blockTokens = 64;

float numberOf(const Napi::Object& config, const char* name) { return config.Get(name).As<Napi::Number>().FloatValue(); }

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
    auto& [top, maxima, order] = scratch;
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
            if (logits[token] >= threshold) top.push_back({token, logits[token], 0.0f});
    }
    const auto kept = std::min(static_cast<size_t>(wanted), top.size());
    std::partial_sort(top.begin(), top.begin() + kept, top.end(), [](const llama_token_data& left, const llama_token_data& right) {
        return left.logit > right.logit || (left.logit == right.logit && left.id < right.id);
    });
    top.resize(kept);
}

} // namespace

Sampler::Sampler(const Napi::CallbackInfo& info) : Napi::ObjectWrap<Sampler>(info) {
    vocab = Session::Unwrap(info[0].As<Napi::Object>())->vocabulary();
    const auto config = info[1].As<Napi::Object>();
    temperature = numberOf(config, "temperature");
    topK = config.Get("topK").As<Napi::Number>().Int32Value();
    repeatPenalty = numberOf(config, "repeatPenalty");
    presencePenalty = numberOf(config, "presencePenalty");
    frequencyPenalty = numberOf(config, "frequencyPenalty");
    const auto history = config.Get("penaltyHistory").As<Napi::Int32Array>();
    if (repeatPenalty != 1 || presencePenalty != 0 || frequencyPenalty != 0)
        penaltyWindowTokens = config.Get("penaltyWindowTokens").As<Napi::Number>().Uint32Value();
    for (size_t index = 0; index < history.ElementLength(); index++) accept(history[index]);
    if (temperature > 0) {
        chain = llama_sampler_chain_init(llama_sampler_chain_default_params());
        llama_sampler_chain_add(chain, llama_sampler_init_top_p(numberOf(config, "topP"), 1));
        llama_sampler_chain_add(chain, llama_sampler_init_min_p(numberOf(config, "minP"), 1));
        llama_sampler_chain_add(chain, llama_sampler_init_temp(temperature));
        llama_sampler_chain_add(chain, llama_sampler_init_dist(config.Get("seed").As<Napi::Number>().Uint32Value()));
    }
}

Sampler::~Sampler() {
    if (chain != nullptr) llama_sampler_free(chain);
}

Napi::Function Sampler::define(Napi::Env env) { return DefineClass(env, "Sampler", {}); }

void Sampler::accept(llama_token token) {
    if (penaltyWindowTokens == 0) return;
    recent.push_back(token);
    occurrences[token]++;
    if (recent.size() <= penaltyWindowTokens) return;
    const auto oldest = occurrences.find(recent.front());
    recent.pop_front();
    if (--oldest->second == 0) occurrences.erase(oldest);
}

/** The arithmetic of llama.cpp's penalties sampler, for the few tokens that it changes. */
void Sampler::penalize(float* logits) const {
    for (const auto& [token, count] : occurrences) {
        float& logit = logits[token];
        if (logit <= 0) logit *= repeatPenalty;
        else logit /= repeatPenalty;
        logit -= static_cast<float>(count) * frequencyPenalty + presencePenalty;
    }
}

llama_token Sampler::sample(float* logits, int32_t count, SamplingScratch& scratch) {
    auto& candidates = scratch.candidates;
    penalize(logits);
    if (chain == nullptr) return indexOfMaximum(logits, count, scratch.blockMaxima);
    if (topK > 0 && topK < count) {
        selectTop(logits, count, topK, scratch);
        return sampleFrom(candidates, true);
    }
    candidates.resize(count);
    for (llama_token token = 0; token < count; token++) candidates[token] = {token, logits[token], 0.0f};
    return sampleFrom(candidates, false);
}

llama_token Sampler::sampleFrom(std::vector<llama_token_data>& from, bool sorted) {
    if (from.empty()) return -1;
    llama_token_data_array array = {from.data(), from.size(), -1, sorted};
    llama_sampler_apply(chain, &array);
    return array.selected >= 0 && static_cast<size_t>(array.selected) < array.size ? array.data[array.selected].id : -1;
}
