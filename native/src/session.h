// One llama_context as the decode loop uses it: a pass (decode an ordered batch, choose every stream's next tokens) in one
// call, and sequence states to memory and back. The context itself is node-llama-cpp's AddonContext, which must outlive it.
#pragma once

#include <llama.h>
#include <napi.h>

#include <atomic>
#include <memory>

#include "grammar.h"
#include "sampler.h"

class Session : public Napi::ObjectWrap<Session> {
public:
    /** new Session(addonContext, {batchTokens, sequences, threads}): see NativeSession in src/engine/llama/native-exports.ts. */
    explicit Session(const Napi::CallbackInfo& info);
    ~Session() override;
    static Napi::Function define(Napi::Env env);

    const llama_vocab* vocabulary() const { return llama_model_get_vocab(llama_get_model(context)); }
    void requestAbort() { aborted = true; }

    llama_context* context = nullptr;
    llama_batch batch{};
    int32_t batchTokens = 0;
    int32_t sequences = 0;
    int32_t poolThreads = 0;
    int32_t vocabularySize = 0;
    /** The batch is in use: from the call until its promise settles. */
    bool isDecoding = false;
    SamplingScratch scratch;
    std::shared_ptr<GrammarVocabulary> grammarVocabulary;
    std::atomic<bool> aborted{false};

private:
    Napi::Value getVocabularySize(const Napi::CallbackInfo& info);
    Napi::Value canForgetParts(const Napi::CallbackInfo& info);
    Napi::Value setThreads(const Napi::CallbackInfo& info);
    Napi::Value decode(const Napi::CallbackInfo& info);
    Napi::Value abort(const Napi::CallbackInfo& info);
    Napi::Value forget(const Napi::CallbackInfo& info);
    Napi::Value firstPosition(const Napi::CallbackInfo& info);
    Napi::Value copy(const Napi::CallbackInfo& info);
    Napi::Value stateBytes(const Napi::CallbackInfo& info);
    Napi::Value saveState(const Napi::CallbackInfo& info);
    Napi::Value loadState(const Napi::CallbackInfo& info);
    Napi::Value close(const Napi::CallbackInfo& info);

    void checkOpen(Napi::Env env) const;
    llama_seq_id sequenceOf(const Napi::Value& value) const;

    Napi::ObjectReference owner;
};
