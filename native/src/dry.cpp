#include "dry.h"

#include <algorithm>

namespace {

constexpr size_t mostKept = 4;

}

void DrySamplers::clear() {
    for (const auto& entry : made) llama_sampler_free(entry.sampler);
    made.clear();
}

llama_sampler* DrySamplers::create(const llama_vocab* vocab, const DrySettings& settings) {
    const auto known = std::find_if(made.begin(), made.end(), [&](const Made& entry) { return entry.settings == settings; });
    if (known != made.end()) return llama_sampler_clone(known->sampler);
    std::vector<const char*> breakers;
    for (const auto& breaker : settings.breakers) breakers.push_back(breaker.c_str());
    auto* sampler = llama_sampler_init_dry(vocab, settings.multiplier, settings.base, settings.allowedLength,
                                           settings.penaltyLastTokens, breakers.data(), breakers.size());
    made.push_front({settings, sampler});
    if (made.size() > mostKept) {
        llama_sampler_free(made.back().sampler);
        made.pop_back();
    }
    return llama_sampler_clone(sampler);
}
