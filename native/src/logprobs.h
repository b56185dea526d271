// Log probabilities of the distribution that a row of logits is, before any sampler has changed it.
#pragma once

#include <llama.h>

#include <utility>
#include <vector>

struct Logprobs {
    /** Subtracted from a logit it gives the log probability. */
    float logOfSum;
    /** Log probabilities of the likeliest, the likeliest first; of equals the one with the lower id. */
    std::vector<std::pair<llama_token, float>> top;
};

Logprobs findLogprobs(const float* logits, int32_t count, int32_t top);
