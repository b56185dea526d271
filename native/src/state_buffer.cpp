#include "state_buffer.h"

#include <sys/mman.h>

#include <memory>
#include <unordered_map>

namespace {

struct Mapping {
    void* memory;
    size_t sizeBytes;
    bool mapped = true;

    void unmap() {
        if (mapped) munmap(memory, sizeBytes);
        mapped = false;
    }
};

/** Of the buffers not yet freed, by address; of one thread, as JavaScript is. */
thread_local std::unordered_map<void*, std::shared_ptr<Mapping>> mappings;

} // namespace

Napi::Value allocateState(const Napi::CallbackInfo& info) {
    const auto env = info.Env();
    const double wanted = info[0].As<Napi::Number>().DoubleValue();
    if (!(wanted >= 1 && wanted <= 9007199254740991.0)) throw Napi::RangeError::New(env, "sizeBytes must be at least 1");
    const auto sizeBytes = static_cast<size_t>(wanted);
    void* memory = mmap(nullptr, sizeBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) throw Napi::Error::New(env, "no memory for a saved state");
    auto mapping = std::make_shared<Mapping>(Mapping{memory, sizeBytes});
    mappings[memory] = mapping;
    return Napi::ArrayBuffer::New(env, memory, sizeBytes, [mapping](Napi::Env, void* address) {
        // A buffer that nobody freed: its last reference is gone. The address may be another mapping's by now.
        const auto found = mappings.find(address);
        if (found != mappings.end() && found->second == mapping) mappings.erase(found);
        mapping->unmap();
    });
}

Napi::Value freeState(const Napi::CallbackInfo& info) {
    auto buffer = info[0].As<Napi::ArrayBuffer>();
    if (buffer.IsDetached()) return info.Env().Undefined();
    const auto found = mappings.find(buffer.Data());
    if (found == mappings.end()) throw Napi::Error::New(info.Env(), "not a buffer of allocateState");
    const auto mapping = found->second;
    mappings.erase(found);
    buffer.Detach();
    mapping->unmap();
    return info.Env().Undefined();
}
