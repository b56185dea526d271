// Vectors of many texts in one batch: what a model says of each sequence after it was read. The context is
// node-llama-cpp's AddonContext, which must outlive the embedder.
#pragma once

#include <llama.h>
#include <napi.h>

#include <atomic>

/** prepareEmbedding(addonContext, {batchTokens, sequences}): before the context is opened; it then takes that many texts at a time. */
Napi::Value prepareEmbedding(const Napi::CallbackInfo& info);

class Embedder : public Napi::ObjectWrap<Embedder> {
public:
    /** new Embedder(addonContext, {batchTokens, sequences, threads}): see NativeEmbedder in src/engine/llama/native-exports.ts. */
    explicit Embedder(const Napi::CallbackInfo& info);
    ~Embedder() override;
    static Napi::Function define(Napi::Env env);

    void requestAbort() { aborted = true; }

    llama_context* context = nullptr;
    llama_batch batch{};
    int32_t batchTokens = 0;
    int32_t sequences = 0;
    int32_t vocabularySize = 0;
    /** Values of a vector. */
    int32_t width = 0;
    /** The batch is in use: from the call until its promise settles. */
    bool isComputing = false;
    std::atomic<bool> aborted{false};

private:
    Napi::Value getWidth(const Napi::CallbackInfo& info);
    Napi::Value compute(const Napi::CallbackInfo& info);
    Napi::Value abort(const Napi::CallbackInfo& info);
    Napi::Value close(const Napi::CallbackInfo& info);

    Napi::ObjectReference owner;
};
