#include "logprobs.h"

#include <algorithm>
#include <cmath>

Logprobs findLogprobs(const float* logits, int32_t count, int32_t top) {
    const float most = *std::max_element(logits, logits + count);
    double sum = 0;
    for (int32_t token = 0; token < count; token++) sum += std::exp(logits[token] - most);
    Logprobs found{most + static_cast<float>(std::log(sum)), {}};
    const auto isLikelier = [](const std::pair<llama_token, float>& left, const std::pair<llama_token, float>& right) {
        return left.second > right.second || (left.second == right.second && left.first < right.first);
    };
    const auto wanted = static_cast<size_t>(std::min(top, count));
    // A heap of the likeliest so far, the least likely of them on top.
    for (llama_token token = 0; token < count && wanted > 0; token++) {
        const std::pair<llama_token, float> candidate{token, logits[token]};
        if (found.top.size() == wanted) {
            if (!isLikelier(candidate, found.top.front())) continue;
            std::pop_heap(found.top.begin(), found.top.end(), isLikelier);
            found.top.back() = candidate;
        } else {
            found.top.push_back(candidate);
        }
        std::push_heap(found.top.begin(), found.top.end(), isLikelier);
    }
    std::sort_heap(found.top.begin(), found.top.end(), isLikelier);
    for (auto& [token, logit] : found.top) logit -= found.logOfSum;
    return found;
}
