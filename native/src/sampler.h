// How one stream chooses its next token: llama.cpp's own samplers, reached without copying the whole vocabulary where the
// settings allow it. With 150,000 tokens that copy costs more than all the rest of a sample.
#pragma once

#include <llama.h>
#include <napi.h>

#include <deque>
#include <unordered_map>
#include <vector>

/** Megabytes for a large vocabulary, so a session has one for all its samplers. */
struct SamplingScratch {
    std::vector<llama_token_data> candidates;
    std::vector<float> blockMaxima;
    std::vector<float> order;
};

class Sampler : public Napi::ObjectWrap<Sampler> {
public:
    /** new Sampler(session, config): see NativeSamplerConfig in src/engine/llama/native-exports.ts. */
    explicit Sampler(const Napi::CallbackInfo& info);
    ~Sampler() override;
    static Napi::Function define(Napi::Env env);

    /** Chooses from a row of logits, which it may change. -1 where no candidate is left. */
    llama_token sample(float* logits, int32_t count, SamplingScratch& scratch);
    /** The token is part of the text now. */
    void accept(llama_token token);
    bool endsText(llama_token token) const { return llama_vocab_is_eog(vocab, token); }

private:
    void penalize(float* logits) const;
    llama_token sampleFrom(std::vector<llama_token_data>& candidates, bool sorted);

    const llama_vocab* vocab = nullptr;
    float temperature = 0;
    int32_t topK = 0;
    float repeatPenalty = 1;
    float presencePenalty = 0;
    float frequencyPenalty = 0;
    size_t penaltyWindowTokens = 0;
    /** The last tokens of the text, as many as the penalties look back on, and how often each occurs among them. */
    std::deque<llama_token> recent;
    std::unordered_map<llama_token, int> occurrences;
    llama_sampler* chain = nullptr;
};
