// A character whose bytes have not all come yet, and the code points that it may still become. Only well-formed UTF-8 counts:
// no overlong forms, no surrogates, nothing beyond U+10FFFF.
#pragma once

#include <algorithm>
#include <cstdint>

constexpr uint32_t lastCodePoint = 0x10FFFF;
constexpr uint32_t firstSurrogate = 0xD800;
constexpr uint32_t lastSurrogate = 0xDFFF;

struct PartialCharacter {
    uint32_t value = 0;
    /** Bytes still to come; 0: no character is open. */
    uint8_t remaining = 0;
    /** Of the whole character, in bytes. */
    uint8_t length = 0;

    bool operator==(const PartialCharacter& other) const {
        return value == other.value && remaining == other.remaining && length == other.length;
    }

    /** Begins with a byte above 0x7F; false where no character begins with it. */
    bool begin(uint8_t byte) {
        if (byte >= 0xC2 && byte <= 0xDF) *this = {byte & 0x1Fu, 1, 2};
        else if (byte >= 0xE0 && byte <= 0xEF) *this = {byte & 0x0Fu, 2, 3};
        else if (byte >= 0xF0 && byte <= 0xF4) *this = {byte & 0x07u, 3, 4};
        else return false;
        return true;
    }

    /** False where the byte cannot follow. */
    bool append(uint8_t byte) {
        if ((byte & 0xC0) != 0x80) return false;
        value = value << 6 | (byte & 0x3Fu);
        remaining--;
        return first() <= last();
    }

    /** The code points that it may become lie from first() to last(); none where first() is larger. */
    uint32_t first() const {
        const uint32_t low = std::max(value << (6 * remaining), length == 2 ? 0x80u : length == 3 ? 0x800u : 0x10000u);
        return low >= firstSurrogate && low <= lastSurrogate ? lastSurrogate + 1 : low;
    }
    uint32_t last() const {
        const uint32_t high = std::min(value << (6 * remaining) | ((1u << (6 * remaining)) - 1), lastCodePoint);
        return high >= firstSurrogate && high <= lastSurrogate ? firstSurrogate - 1 : high;
    }
};
