// The module: what JavaScript sees is described in src/engine/llama/native-exports.ts.
#include <napi.h>

#include "embedding.h"
#include "environment.h"
#include "grammar.h"
#include "sampler.h"
#include "session.h"
#include "state_buffer.h"

namespace {

/** At the environment's end: a pass under way is broken off, so that nothing computes on what is about to be freed. */
void stopComputing(void* data) {
    auto* environment = static_cast<Environment*>(data);
    for (auto* session : environment->sessions) session->requestAbort();
    for (auto* embedder : environment->embedders) embedder->requestAbort();
    environment->executor.stop();
}

/** stop(): as at the environment's end. `process.exit` does not get that far, and what exits while threads compute crashes. */
Napi::Value stop(const Napi::CallbackInfo& info) {
    stopComputing(&Environment::of(info.Env()));
    return info.Env().Undefined();
}

Napi::Object initialize(Napi::Env env, Napi::Object exports) {
    auto* environment = new Environment(env);
    env.SetInstanceData<Environment>(environment);
    napi_add_env_cleanup_hook(env, stopComputing, environment);
    exports.Set("Session", Session::define(env));
    exports.Set("Sampler", Sampler::define(env));
    exports.Set("Grammar", Grammar::define(env));
    exports.Set("Embedder", Embedder::define(env));
    exports.Set("prepareEmbedding", Napi::Function::New(env, prepareEmbedding));
    exports.Set("stop", Napi::Function::New(env, stop));
    exports.Set("allocateState", Napi::Function::New(env, allocateState));
    exports.Set("freeState", Napi::Function::New(env, freeState));
    return exports;
}

} // namespace

NODE_API_MODULE(gguf_experts_native, initialize)
