// llama.cpp's DRY samplers. Making one looks through the whole vocabulary for each sequence breaker, so the last ones of a
// session are kept and copied.
#pragma once

#include <llama.h>

#include <deque>
#include <string>
#include <vector>

struct DrySettings {
    float multiplier = 0;
    float base = 0;
    int32_t allowedLength = 0;
    int32_t penaltyLastTokens = 0;
    std::vector<std::string> breakers;

    bool isOn() const { return multiplier != 0 && base >= 1 && penaltyLastTokens > 0; }
    bool operator==(const DrySettings& other) const {
        return multiplier == other.multiplier && base == other.base && allowedLength == other.allowedLength &&
               penaltyLastTokens == other.penaltyLastTokens && breakers == other.breakers;
    }
};

/** Of the computing thread. */
class DrySamplers {
public:
    DrySamplers() = default;
    DrySamplers(const DrySamplers&) = delete;
    DrySamplers& operator=(const DrySamplers&) = delete;
    ~DrySamplers() { clear(); }
    void clear();
    /** One that has seen no token; who asks for it frees it. */
    llama_sampler* create(const llama_vocab* vocab, const DrySettings& settings);

private:
    struct Made {
        DrySettings settings;
        llama_sampler* sampler;
    };

    std::deque<Made> made;
};
