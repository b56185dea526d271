// The last tokens of a text, and how often each occurs among them.
#pragma once

#include <llama.h>

#include <deque>
#include <unordered_map>

class TokenWindow {
public:
    explicit TokenWindow(size_t limit = 0) : limit(limit) {}

    void push(llama_token token) {
        if (limit == 0) return;
        tokens.push_back(token);
        counts[token]++;
        if (tokens.size() <= limit) return;
        const auto oldest = counts.find(tokens.front());
        tokens.pop_front();
        if (--oldest->second == 0) counts.erase(oldest);
    }

    bool isOpen() const { return limit > 0; }
    const std::deque<llama_token>& all() const { return tokens; }
    const std::unordered_map<llama_token, int>& occurrences() const { return counts; }

private:
    size_t limit;
    std::deque<llama_token> tokens;
    std::unordered_map<llama_token, int> counts;
};
