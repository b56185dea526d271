// How one stream chooses its next token: llama.cpp's own samplers, reached without copying the whole vocabulary where the
// settings allow it. With 150,000 tokens that copy costs more than all the rest of a sample. The order is llama-server's:
// biases, penalties, DRY, top-n-sigma, top-k, typical, top-p, min-p, XTC, temperature; and the choice is made without the
// grammar first, and again among what the grammar allows only where it refuses that choice.
#pragma once

#include <llama.h>
#include <napi.h>

#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "dry.h"
#include "grammar.h"
#include "logprobs.h"
#include "token_window.h"

/** Megabytes for a large vocabulary, so a session has one for all its samplers. */
struct SamplingScratch {
    std::vector<llama_token_data> candidates;
    std::vector<float> blockMaxima;
    std::vector<float> order;
    DrySamplers drySamplers;

    void release() {
        candidates = {};
        blockMaxima = {};
        order = {};
        drySamplers.clear();
    }
};

class Sampler : public Napi::ObjectWrap<Sampler> {
public:
    /** new Sampler(session, config): see NativeSamplerSettings in src/engine/llama/native-exports.ts. */
    explicit Sampler(const Napi::CallbackInfo& info);
    ~Sampler() override;
    static Napi::Function define(Napi::Env env);

    /** Passes that use it: from the call until the promise settles. */
    int32_t passes = 0;

    /** What is returned in place of a token. */
    static constexpr llama_token noCandidate = -1;
    static constexpr llama_token grammarTooAmbiguous = -2;
    static constexpr llama_token grammarDeadEnd = -3;

    /** Chooses from a row of logits, which it may change. */
    llama_token sample(float* logits, int32_t count, SamplingScratch& scratch);
    /** The token is part of the text now. */
    void accept(llama_token token);
    bool endsText(llama_token token) const { return llama_vocab_is_eog(vocab, token); }

    /** How many of the likeliest are told with each token; -1: no log probabilities. */
    int32_t topLogprobs = -1;
    /** Appends those of the token sampled last: its own, the ids of the likeliest, and theirs. Ids are as they are, floats by their bits. */
    void appendLogprobs(std::vector<int32_t>& values) const;

private:
    Napi::Value close(const Napi::CallbackInfo& info);
    void release();

    llama_token choose(float* logits, int32_t count, SamplingScratch& scratch);
    std::optional<llama_token> chooseAmongLikeliest(const float* logits, int32_t count, SamplingScratch& scratch);
    llama_token chooseUnderGrammar(float* logits, int32_t count, SamplingScratch& scratch);
    llama_token chooseAmong(const TokenMask& mask, float* logits, int32_t count, SamplingScratch& scratch);
    llama_token sampleFrom(std::vector<llama_token_data>& candidates, bool sorted);
    void change(float* logits, SamplingScratch& scratch);
    void set(float* logits, llama_token token, float logit);
    bool isGreedy() const { return chain == nullptr; }

    const llama_vocab* vocab = nullptr;
    float temperature = 0;
    int32_t topK = 0;
    float repeatPenalty = 1;
    float presencePenalty = 0;
    float frequencyPenalty = 0;
    bool looksAtAll = false;
    bool drawsForTwo = false;
    std::vector<llama_logit_bias> biases;
    TokenWindow penalized;
    DrySettings drySettings;
    TokenWindow dryWindow;
    llama_sampler* dry = nullptr;
    std::optional<GrammarMatcher> grammar;
    /** The grammar could not be followed to where the text is now. */
    bool isLost = false;
    llama_sampler* chain = nullptr;

    /** Of the row sampled last, where log probabilities are asked for: logits as they were before they were changed. */
    std::vector<std::pair<llama_token, float>> original;
    Logprobs logprobs{};
    float chosenLogprob = 0;
};
