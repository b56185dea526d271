#include "session.h"

#ifdef __GLIBC__
#include <malloc.h>
#endif

#include <algorithm>
#include <stdexcept>
#include <string>

#include "AddonContext.h"
#include "environment.h"
#include "sampler.h"
#include "thread_pool.h"

namespace {

/** The llama_context inside. What lies where we expect its parameters is compared before any pointer is followed: a layout
 * other than the one this was built for is an error here, not a crash. */
llama_context* contextOf(const Napi::Object& addonContext, int32_t batchTokens, int32_t sequences) {
    const auto env = addonContext.Env();
    void* wrapped = nullptr;
    if (napi_unwrap(env, addonContext, &wrapped) != napi_ok || wrapped == nullptr)
        throw Napi::TypeError::New(env, "not a context of node-llama-cpp");
    auto* addon = static_cast<AddonContext*>(wrapped);
    const auto& params = addon->context_params;
    // A sliding window's cache is made one token larger than asked for.
    const bool fits = params.n_batch == static_cast<uint32_t>(batchTokens) || params.n_batch == static_cast<uint32_t>(batchTokens) + 1;
    if (!fits || params.n_ubatch != params.n_batch || params.n_seq_max != static_cast<uint32_t>(sequences) || params.kv_unified)
        throw Napi::Error::New(env, "node-llama-cpp's context is laid out in another way than this was built for");
    if (addon->disposed || !addon->contextLoaded || addon->ctx == nullptr) throw Napi::Error::New(env, "the context is not open");
    if (llama_n_seq_max(addon->ctx) != params.n_seq_max || llama_n_batch(addon->ctx) > params.n_batch)
        throw Napi::Error::New(env, "node-llama-cpp's context is laid out in another way than this was built for");
    return addon->ctx;
}

struct StreamPlan {
    llama_seq_id sequence;
    llama_pos firstPosition;
    int32_t firstRow;
    int32_t tokens;
    /** Of the tokens, the last ones that are only guessed; -1: nothing is to be chosen after these tokens. */
    int32_t drafts;
    Sampler* sampler;
    /** After the pass: of the token that follows. */
    llama_pos nextPosition = 0;
};

/** Where a kind of cache cannot, JavaScript would go on with another idea of what is in it. */
void forgetFrom(llama_context* context, llama_seq_id sequence, llama_pos position) {
    llama_memory_t memory = llama_get_memory(context);
    if (llama_memory_seq_rm(memory, sequence, position, -1)) return;
    llama_memory_seq_rm(memory, sequence, -1, -1);
    throw std::runtime_error("this model's cache cannot forget a part of a sequence");
}

class DecodeJob : public Job {
public:
    DecodeJob(Napi::Env env, Session& session) : Job(env), session(session) { session.isDecoding = true; }
    ~DecodeJob() override {
        session.isDecoding = false;
        for (const auto& stream : streams)
            if (stream.sampler != nullptr) stream.sampler->passes--;
    }

    std::vector<StreamPlan> streams;
    /** Passes in a row, each over the tokens that the one before it chose. */
    int32_t passes = 1;

    void run() override {
        chosen.resize(streams.size());
        logprobs.resize(streams.size());
        decodeBatch();
        for (size_t index = 0; index < streams.size(); index++) choose(index);
        for (int32_t pass = 1; pass < passes && goesOn(); pass++) {
            continueBatch();
            decodeBatch();
            for (size_t index = 0; index < streams.size(); index++) choose(index);
        }
    }

    Napi::Value result(Napi::Env env) override {
        size_t length = 0;
        for (size_t index = 0; index < streams.size(); index++) length += 1 + chosen[index].size() + logprobs[index].size();
        auto array = Napi::Int32Array::New(env, length);
        int32_t* at = array.Data();
        for (size_t index = 0; index < streams.size(); index++) {
            *at++ = static_cast<int32_t>(chosen[index].size());
            at = std::copy(chosen[index].begin(), chosen[index].end(), at);
            at = std::copy(logprobs[index].begin(), logprobs[index].end(), at);
        }
        return array;
    }

private:
    void decodeBatch() {
        const int status = llama_decode(session.context, session.batch);
        if (status == 1) throw std::runtime_error("the KV cache has no room for the batch");
        if (status == 2) throw std::runtime_error("aborted");
        if (status != 0) throw std::runtime_error("llama.cpp could not decode the batch (" + std::to_string(status) + ")");
    }

    /** Whether every stream's text does. Where one has ended, JavaScript has something to do. */
    bool goesOn() const {
        if (session.aborted) return false;
        for (size_t index = 0; index < streams.size(); index++) {
            if (streams[index].drafts < 0 || chosen[index].empty()) return false;
            const llama_token last = chosen[index].back();
            if (last < 0 || streams[index].sampler->endsText(last)) return false;
        }
        return true;
    }

    /** The last chosen token of each stream becomes the batch. */
    void continueBatch() {
        llama_batch& batch = session.batch;
        batch.n_tokens = 0;
        for (size_t index = 0; index < streams.size(); index++) {
            auto& stream = streams[index];
            const int32_t row = batch.n_tokens++;
            stream.firstPosition = stream.nextPosition;
            stream.firstRow = row;
            stream.tokens = 1;
            stream.drafts = 0;
            batch.token[row] = chosen[index].back();
            batch.pos[row] = stream.firstPosition;
            batch.n_seq_id[row] = 1;
            batch.seq_id[row][0] = stream.sequence;
            batch.logits[row] = 1;
        }
    }

    /** Appends each drafted token that proved right, and the first that is not. */
    void choose(size_t index) {
        auto& stream = streams[index];
        auto& tokens = chosen[index];
        if (stream.drafts < 0) return;
        const int32_t known = stream.tokens - stream.drafts;
        int32_t right = 0;
        while (true) {
            float* logits = llama_get_logits_ith(session.context, stream.firstRow + known - 1 + right);
            if (logits == nullptr) throw std::runtime_error("llama.cpp returned no logits");
            const llama_token token = stream.sampler->sample(logits, session.vocabularySize, session.scratch);
            tokens.push_back(token);
            if (token >= 0 && stream.sampler->topLogprobs >= 0) stream.sampler->appendLogprobs(logprobs[index]);
            if (token < 0 || stream.sampler->endsText(token)) break;
            stream.sampler->accept(token);
            if (right == stream.drafts || session.batch.token[stream.firstRow + known + right] != token) break;
            right++;
        }
        stream.nextPosition = stream.firstPosition + known + right;
        if (right < stream.drafts) forgetFrom(session.context, stream.sequence, stream.nextPosition);
    }

    Session& session;
    /** By stream. */
    std::vector<std::vector<llama_token>> chosen;
    /** By stream, of the chosen tokens one after the other: see Sampler::appendLogprobs. */
    std::vector<std::vector<int32_t>> logprobs;
};

class CopyJob : public Job {
public:
    CopyJob(Napi::Env env, Session& session, llama_seq_id from, llama_seq_id to, llama_pos tokens)
        : Job(env), session(session), from(from), to(to), tokens(tokens) {}

    void run() override {
        // Through memory, not by llama_memory_seq_cp: between separate streams that one copies the whole length of the cache.
        const size_t sizeBytes = llama_state_seq_get_size(session.context, from);
        std::vector<uint8_t> state(sizeBytes);
        if (llama_state_seq_get_data(session.context, state.data(), sizeBytes, from) != sizeBytes ||
            llama_state_seq_set_data(session.context, state.data(), sizeBytes, to) != sizeBytes)
            throw std::runtime_error("llama.cpp could not copy a sequence");
        forgetFrom(session.context, to, tokens);
    }

private:
    Session& session;
    llama_seq_id from;
    llama_seq_id to;
    llama_pos tokens;
};

class SaveJob : public Job {
public:
    SaveJob(Napi::Env env, Session& session, llama_seq_id sequence, uint8_t* into, size_t sizeBytes, llama_state_seq_flags flags)
        : Job(env), session(session), sequence(sequence), into(into), sizeBytes(sizeBytes), flags(flags) {}

    void run() override {
        if (llama_state_seq_get_data_ext(session.context, into, sizeBytes, sequence, flags) != sizeBytes)
            throw std::runtime_error("llama.cpp could not save a sequence");
    }

private:
    Session& session;
    llama_seq_id sequence;
    uint8_t* into;
    size_t sizeBytes;
    llama_state_seq_flags flags;
};

class LoadJob : public Job {
public:
    LoadJob(Napi::Env env, Session& session, llama_seq_id sequence, const uint8_t* state, size_t sizeBytes, llama_state_seq_flags flags)
        : Job(env), session(session), sequence(sequence), state(state), sizeBytes(sizeBytes), flags(flags) {}

    void run() override {
        if (llama_state_seq_set_data_ext(session.context, state, sizeBytes, sequence, flags) == sizeBytes) return;
        llama_memory_seq_rm(llama_get_memory(session.context), sequence, -1, -1);
        throw std::runtime_error("llama.cpp refused a saved state");
    }

private:
    Session& session;
    llama_seq_id sequence;
    const uint8_t* state;
    size_t sizeBytes;
    llama_state_seq_flags flags;
};

llama_state_seq_flags flagsOf(const Napi::Value& windowOnly) {
    return windowOnly.ToBoolean().Value() ? LLAMA_STATE_SEQ_FLAGS_PARTIAL_ONLY : LLAMA_STATE_SEQ_FLAGS_NONE;
}

} // namespace

Session::Session(const Napi::CallbackInfo& info) : Napi::ObjectWrap<Session>(info) {
    const auto addonContext = info[0].As<Napi::Object>();
    const auto options = info[1].As<Napi::Object>();
    batchTokens = options.Get("batchTokens").As<Napi::Number>().Int32Value();
    sequences = options.Get("sequences").As<Napi::Number>().Int32Value();
    context = contextOf(addonContext, batchTokens, sequences);
    poolThreads = options.Get("threads").As<Napi::Number>().Int32Value();
    if (poolThreads < 1 || poolThreads > 512) throw Napi::RangeError::New(info.Env(), "threads must be 1 to 512");
    try {
        attachSharedThreadPool(context, poolThreads);
    } catch (const std::exception& error) {
        throw Napi::Error::New(info.Env(), error.what());
    }
    // llama.cpp lowers it to what a small context holds, and ends the process at a larger batch.
    batchTokens = std::min(batchTokens, static_cast<int32_t>(llama_n_batch(context)));
    vocabularySize = llama_vocab_n_tokens(vocabulary());
    grammarVocabulary = std::make_shared<GrammarVocabulary>(vocabulary());
    batch = llama_batch_init(batchTokens, 0, 1);
    owner = Napi::Persistent(addonContext);
    llama_set_abort_callback(context, [](void* data) { return static_cast<std::atomic<bool>*>(data)->load(std::memory_order_relaxed); }, &aborted);
    Environment::of(info.Env()).sessions.insert(this);
}

Session::~Session() {
    if (batch.token != nullptr) llama_batch_free(batch);
    Environment::of(Env()).sessions.erase(this);
}

Napi::Function Session::define(Napi::Env env) {
    return DefineClass(env, "Session", {
        InstanceAccessor<&Session::getVocabularySize>("vocabularySize"),
        InstanceMethod<&Session::canForgetParts>("canForgetParts"),
        InstanceMethod<&Session::setThreads>("setThreads"),
        InstanceMethod<&Session::decode>("decode"),
        InstanceMethod<&Session::abort>("abort"),
        InstanceMethod<&Session::forget>("forget"),
        InstanceMethod<&Session::firstPosition>("firstPosition"),
        InstanceMethod<&Session::copy>("copy"),
        InstanceMethod<&Session::stateBytes>("stateBytes"),
        InstanceMethod<&Session::saveState>("saveState"),
        InstanceMethod<&Session::loadState>("loadState"),
        InstanceMethod<&Session::close>("close"),
    });
}

void Session::checkOpen(Napi::Env env) const {
    if (context == nullptr) throw Napi::Error::New(env, "the session is closed");
}

llama_seq_id Session::sequenceOf(const Napi::Value& value) const {
    const int32_t sequence = value.As<Napi::Number>().Int32Value();
    if (sequence < 0 || sequence >= sequences) throw Napi::RangeError::New(value.Env(), "sequence out of range");
    return sequence;
}

Napi::Value Session::getVocabularySize(const Napi::CallbackInfo& info) { return Napi::Number::New(info.Env(), vocabularySize); }

// False for recurrent states, which hold the whole past in one place: no drafts and no parts of a sequence then.
Napi::Value Session::canForgetParts(const Napi::CallbackInfo& info) {
    checkOpen(info.Env());
    const llama_model* model = llama_get_model(context);
    return Napi::Boolean::New(info.Env(), !llama_model_is_recurrent(model) && !llama_model_is_hybrid(model));
}

Napi::Value Session::setThreads(const Napi::CallbackInfo& info) {
    checkOpen(info.Env());
    const int32_t threads = info[0].As<Napi::Number>().Int32Value();
    if (threads < 1 || threads > poolThreads) throw Napi::RangeError::New(info.Env(), "threads out of range");
    llama_set_n_threads(context, threads, threads);
    return info.Env().Undefined();
}

// decode(plan: Int32Array, samplers, passes): for each stream its sequence, first position, number of tokens, number of drafts among
// them (-1: choose nothing), then the tokens. Answers with an Int32Array: for each stream a count, as many tokens, and where
// its sampler was asked for them the log probabilities of those of the tokens that are not negative.
Napi::Value Session::decode(const Napi::CallbackInfo& info) {
    const auto env = info.Env();
    checkOpen(env);
    if (isDecoding) throw Napi::Error::New(env, "a pass is under way");
    const auto plan = info[0].As<Napi::Int32Array>();
    const auto samplers = info[1].As<Napi::Array>();
    const int32_t passes = info[2].As<Napi::Number>().Int32Value();
    const int32_t* values = plan.Data();
    const size_t length = plan.ElementLength();
    auto job = std::make_unique<DecodeJob>(env, *this);
    batch.n_tokens = 0;
    size_t at = 0;
    for (uint32_t index = 0; at < length; index++) {
        if (length - at < 4) throw Napi::RangeError::New(env, "the plan ends within a stream");
        StreamPlan stream{values[at], values[at + 1], batch.n_tokens, values[at + 2], values[at + 3], nullptr, 0};
        at += 4;
        if (stream.sequence < 0 || stream.sequence >= sequences || stream.firstPosition < 0)
            throw Napi::RangeError::New(env, "a stream's sequence or position is out of range");
        if (stream.tokens < 1 || static_cast<size_t>(stream.tokens) > length - at || batch.n_tokens + stream.tokens > batchTokens)
            throw Napi::RangeError::New(env, "a stream's number of tokens is out of range");
        if (stream.drafts < -1 || stream.drafts >= stream.tokens) throw Napi::RangeError::New(env, "a stream's drafts are out of range");
        for (int32_t offset = 0; offset < stream.tokens; offset++) {
            const int32_t row = batch.n_tokens++;
            const llama_token token = values[at + offset];
            if (token < 0 || token >= vocabularySize) throw Napi::RangeError::New(env, "a token is out of range");
            batch.token[row] = token;
            batch.pos[row] = stream.firstPosition + offset;
            batch.n_seq_id[row] = 1;
            batch.seq_id[row][0] = stream.sequence;
            batch.logits[row] = stream.drafts >= 0 && offset >= stream.tokens - 1 - stream.drafts;
        }
        at += stream.tokens;
        if (stream.drafts >= 0) {
            const auto sampler = samplers.Get(index).As<Napi::Object>();
            stream.sampler = Sampler::Unwrap(sampler);
            stream.sampler->passes++;
            job->keep(sampler);
        }
        job->streams.push_back(stream);
    }
    if (job->streams.empty()) throw Napi::RangeError::New(env, "the plan is empty");
    if (passes < 1 || passes > 64) throw Napi::RangeError::New(env, "passes out of range");
    job->passes = passes;
    aborted = false;
    job->keep(info.This().As<Napi::Object>());
    return Environment::of(env).executor.post(env, std::move(job));
}

Napi::Value Session::abort(const Napi::CallbackInfo& info) {
    requestAbort();
    return info.Env().Undefined();
}

// forget(sequence, fromPosition): false where this kind of cache cannot forget a part of a sequence.
Napi::Value Session::forget(const Napi::CallbackInfo& info) {
    checkOpen(info.Env());
    const auto sequence = sequenceOf(info[0]);
    return Napi::Boolean::New(info.Env(), llama_memory_seq_rm(llama_get_memory(context), sequence, info[1].As<Napi::Number>().Int32Value(), -1));
}

Napi::Value Session::firstPosition(const Napi::CallbackInfo& info) {
    checkOpen(info.Env());
    return Napi::Number::New(info.Env(), llama_memory_seq_pos_min(llama_get_memory(context), sequenceOf(info[0])));
}

Napi::Value Session::copy(const Napi::CallbackInfo& info) {
    const auto env = info.Env();
    checkOpen(env);
    auto job = std::make_unique<CopyJob>(env, *this, sequenceOf(info[0]), sequenceOf(info[1]), info[2].As<Napi::Number>().Int32Value());
    job->keep(info.This().As<Napi::Object>());
    return Environment::of(env).executor.post(env, std::move(job));
}

Napi::Value Session::stateBytes(const Napi::CallbackInfo& info) {
    checkOpen(info.Env());
    return Napi::Number::New(info.Env(), static_cast<double>(llama_state_seq_get_size_ext(context, sequenceOf(info[0]), flagsOf(info[1]))));
}

// saveState(sequence, into, windowOnly): `into` holds just stateBytes of the same arguments.
Napi::Value Session::saveState(const Napi::CallbackInfo& info) {
    const auto env = info.Env();
    checkOpen(env);
    auto into = info[1].As<Napi::Uint8Array>();
    auto job = std::make_unique<SaveJob>(env, *this, sequenceOf(info[0]), into.Data(), into.ByteLength(), flagsOf(info[2]));
    job->keep(into);
    job->keep(info.This().As<Napi::Object>());
    return Environment::of(env).executor.post(env, std::move(job));
}

Napi::Value Session::loadState(const Napi::CallbackInfo& info) {
    const auto env = info.Env();
    checkOpen(env);
    const auto state = info[1].As<Napi::Uint8Array>();
    auto job = std::make_unique<LoadJob>(env, *this, sequenceOf(info[0]), state.Data(), state.ByteLength(), flagsOf(info[2]));
    job->keep(state);
    job->keep(info.This().As<Napi::Object>());
    return Environment::of(env).executor.post(env, std::move(job));
}

// The context may be disposed after this; nothing may be under way.
Napi::Value Session::close(const Napi::CallbackInfo& info) {
    if (context != nullptr) llama_set_abort_callback(context, nullptr, nullptr);
    context = nullptr;
    // Megabytes, and JavaScript may not collect this object for a long time.
    grammarVocabulary->release();
    scratch.release();
#ifdef __GLIBC__
    // It was taken in small pieces by another thread: the C library would keep it.
    malloc_trim(0);
#endif
    owner.Reset();
    return info.Env().Undefined();
}
