#include "embedding.h"

#include <algorithm>
#include <stdexcept>
#include <string>

#include "AddonContext.h"
#include "environment.h"
#include "thread_pool.h"

namespace {

/** Whatever the layout is in truth, these values are not there by chance; they are compared before a pointer is followed. */
AddonContext& addonContextOf(const Napi::Object& object, int32_t batchTokens, int32_t sequences, bool isUnified) {
    const auto env = object.Env();
    void* wrapped = nullptr;
    if (napi_unwrap(env, object, &wrapped) != napi_ok || wrapped == nullptr)
        throw Napi::TypeError::New(env, "not a context of node-llama-cpp");
    auto& addon = *static_cast<AddonContext*>(wrapped);
    const auto& params = addon.context_params;
    // A sliding window's cache is made one token larger than asked for.
    const bool fits = params.n_batch == static_cast<uint32_t>(batchTokens) || params.n_batch == static_cast<uint32_t>(batchTokens) + 1;
    if (!fits || params.n_ubatch != params.n_batch || params.n_seq_max != static_cast<uint32_t>(sequences) ||
        params.kv_unified != isUnified || !params.embeddings)
        throw Napi::Error::New(env, "node-llama-cpp's context is laid out in another way than this was built for");
    return addon;
}

struct Text {
    llama_seq_id sequence;
    int32_t lastRow;
};

class EmbedJob : public Job {
public:
    EmbedJob(Napi::Env env, Embedder& embedder) : Job(env), embedder(embedder) { embedder.isComputing = true; }
    ~EmbedJob() override { embedder.isComputing = false; }

    std::vector<Text> texts;
    bool forgets = false;

    void run() override {
        llama_context* context = embedder.context;
        llama_memory_t memory = llama_get_memory(context);
        if (forgets && memory != nullptr) llama_memory_clear(memory, false);
        const int status = llama_decode(context, embedder.batch);
        if (status == 1) throw std::runtime_error("the KV cache has no room for the batch");
        if (status == 2) throw std::runtime_error("aborted");
        if (status != 0) throw std::runtime_error("llama.cpp could not compute the batch (" + std::to_string(status) + ")");
        const bool isPooled = llama_pooling_type(context) != LLAMA_POOLING_TYPE_NONE;
        values.reserve(texts.size() * embedder.width);
        for (const auto& text : texts) {
            const float* vector = isPooled ? llama_get_embeddings_seq(context, text.sequence) : llama_get_embeddings_ith(context, text.lastRow);
            if (vector == nullptr) throw std::runtime_error("llama.cpp returned no vector");
            values.insert(values.end(), vector, vector + embedder.width);
        }
    }

    Napi::Value result(Napi::Env env) override {
        auto array = Napi::Float32Array::New(env, values.size());
        std::copy(values.begin(), values.end(), array.Data());
        return array;
    }

private:
    Embedder& embedder;
    std::vector<float> values;
};

} // namespace

// With cells that all sequences share, a text may be as long as the context, and many short ones take no more memory.
Napi::Value prepareEmbedding(const Napi::CallbackInfo& info) {
    const auto env = info.Env();
    const auto options = info[1].As<Napi::Object>();
    auto& addon = addonContextOf(info[0].As<Napi::Object>(), options.Get("batchTokens").As<Napi::Number>().Int32Value(), 1, false);
    if (addon.disposed || addon.contextLoaded || addon.ctx != nullptr) throw Napi::Error::New(env, "the context is open already");
    const int32_t sequences = options.Get("sequences").As<Napi::Number>().Int32Value();
    if (sequences < 1 || static_cast<size_t>(sequences) > llama_max_parallel_sequences()) throw Napi::RangeError::New(env, "sequences out of range");
    addon.context_params.n_seq_max = static_cast<uint32_t>(sequences);
    addon.context_params.kv_unified = true;
    return env.Undefined();
}

Embedder::Embedder(const Napi::CallbackInfo& info) : Napi::ObjectWrap<Embedder>(info) {
    const auto env = info.Env();
    const auto addonContext = info[0].As<Napi::Object>();
    const auto options = info[1].As<Napi::Object>();
    batchTokens = options.Get("batchTokens").As<Napi::Number>().Int32Value();
    sequences = options.Get("sequences").As<Napi::Number>().Int32Value();
    const int32_t threads = options.Get("threads").As<Napi::Number>().Int32Value();
    if (threads < 1 || threads > 512) throw Napi::RangeError::New(env, "threads must be 1 to 512");
    const auto& addon = addonContextOf(addonContext, batchTokens, sequences, true);
    if (addon.disposed || !addon.contextLoaded || addon.ctx == nullptr) throw Napi::Error::New(env, "the context is not open");
    if (llama_n_seq_max(addon.ctx) != static_cast<uint32_t>(sequences))
        throw Napi::Error::New(env, "node-llama-cpp's context is laid out in another way than this was built for");
    context = addon.ctx;
    try {
        attachSharedThreadPool(context, threads);
    } catch (const std::exception& error) {
        throw Napi::Error::New(env, error.what());
    }
    // Larger batches would end the process.
    batchTokens = std::min({batchTokens, static_cast<int32_t>(llama_n_batch(context)), static_cast<int32_t>(llama_n_ubatch(context))});
    const llama_model* model = llama_get_model(context);
    vocabularySize = llama_vocab_n_tokens(llama_model_get_vocab(model));
    width = llama_pooling_type(context) == LLAMA_POOLING_TYPE_RANK ? static_cast<int32_t>(llama_model_n_cls_out(model)) : llama_model_n_embd_out(model);
    if (width < 1) throw Napi::Error::New(env, "the model gives vectors of no length");
    batch = llama_batch_init(batchTokens, 0, 1);
    owner = Napi::Persistent(addonContext);
    llama_set_abort_callback(context, [](void* data) { return static_cast<std::atomic<bool>*>(data)->load(std::memory_order_relaxed); }, &aborted);
    Environment::of(env).embedders.insert(this);
}

Embedder::~Embedder() {
    if (batch.token != nullptr) llama_batch_free(batch);
    Environment::of(Env()).embedders.erase(this);
}

Napi::Function Embedder::define(Napi::Env env) {
    return DefineClass(env, "Embedder", {
        InstanceMethod<&Embedder::getWidth>("width"),
        InstanceMethod<&Embedder::compute>("compute"),
        InstanceMethod<&Embedder::abort>("abort"),
        InstanceMethod<&Embedder::close>("close"),
    });
}

Napi::Value Embedder::getWidth(const Napi::CallbackInfo& info) {
    return Napi::Number::New(info.Env(), width);
}

// compute(plan: Int32Array): for each text, in its own sequence by its place in the plan, the position of its first token,
// the number of tokens, the tokens. Where all texts begin at position 0, what was read before is forgotten.
Napi::Value Embedder::compute(const Napi::CallbackInfo& info) {
    const auto env = info.Env();
    if (context == nullptr) throw Napi::Error::New(env, "the embedder is closed");
    if (isComputing) throw Napi::Error::New(env, "a batch is under way");
    const auto plan = info[0].As<Napi::Int32Array>();
    const int32_t* values = plan.Data();
    const size_t length = plan.ElementLength();
    auto job = std::make_unique<EmbedJob>(env, *this);
    job->forgets = true;
    batch.n_tokens = 0;
    for (size_t at = 0; at < length;) {
        if (length - at < 2) throw Napi::RangeError::New(env, "the plan ends within a text");
        const llama_pos first = values[at];
        const int32_t tokens = values[at + 1];
        const auto sequence = static_cast<llama_seq_id>(job->texts.size());
        at += 2;
        if (sequence >= sequences || first < 0) throw Napi::RangeError::New(env, "a text's sequence or position is out of range");
        // Without a memory nothing is known of the tokens before.
        if (first > 0 && llama_get_memory(context) == nullptr) throw Napi::RangeError::New(env, "this model reads a text at once or not at all");
        if (tokens < 1 || static_cast<size_t>(tokens) > length - at || batch.n_tokens + tokens > batchTokens)
            throw Napi::RangeError::New(env, "a text's number of tokens is out of range");
        for (int32_t offset = 0; offset < tokens; offset++) {
            const int32_t row = batch.n_tokens++;
            const llama_token token = values[at + offset];
            if (token < 0 || token >= vocabularySize) throw Napi::RangeError::New(env, "a token is out of range");
            batch.token[row] = token;
            batch.pos[row] = first + offset;
            batch.n_seq_id[row] = 1;
            batch.seq_id[row][0] = sequence;
            batch.logits[row] = 1;
        }
        at += tokens;
        if (first > 0) job->forgets = false;
        job->texts.push_back({sequence, batch.n_tokens - 1});
    }
    if (job->texts.empty()) throw Napi::RangeError::New(env, "the plan is empty");
    aborted = false;
    job->keep(info.This().As<Napi::Object>());
    return Environment::of(env).executor.post(env, std::move(job));
}

Napi::Value Embedder::abort(const Napi::CallbackInfo& info) {
    requestAbort();
    return info.Env().Undefined();
}

// The context may be disposed after this; nothing may be under way.
Napi::Value Embedder::close(const Napi::CallbackInfo& info) {
    if (context != nullptr) llama_set_abort_callback(context, nullptr, nullptr);
    context = nullptr;
    owner.Reset();
    return info.Env().Undefined();
}
