// Included before faiss-node's own source. It adds a definition that the source expects but older versions of FAISS
// lack, and a second class, `TypedIndex`, whose methods take and return typed arrays. Their numbers are passed as they
// are in memory; faiss-node fetches each number of an array separately, which takes longer than a search. Errors of
// FAISS become exceptions instead of ending the process. The class can read, build, search and write; nothing else is
// needed.
#pragma once

#include <cmath>
#include <cstring>
#include <memory>
#include <string>

#include <faiss/Index.h>
#include <faiss/MetricType.h>
#include <faiss/index_factory.h>
#include <faiss/index_io.h>
#include <napi.h>

#ifdef FAISS_TYPE_IN_INDEX
namespace faiss {
using idx_t = Index::idx_t;
}
#endif

class TypedIndex : public Napi::ObjectWrap<TypedIndex> {
 public:
  static void add_to(Napi::Env env, Napi::Object exports) {
    exports.Set(
        "TypedIndex",
        DefineClass(
            env, "TypedIndex",
            {InstanceMethod("ntotal", &TypedIndex::ntotal), InstanceMethod("getDimension", &TypedIndex::dimension),
             InstanceMethod("train", &TypedIndex::train), InstanceMethod("add", &TypedIndex::add),
             InstanceMethod("search", &TypedIndex::search), InstanceMethod("write", &TypedIndex::write)}));
  }

  // new TypedIndex(path), or new TypedIndex(dimension, description, metric).
  explicit TypedIndex(const Napi::CallbackInfo& info) : Napi::ObjectWrap<TypedIndex>(info) {
    attempt(info, [&] {
      if (info[0].IsString()) {
        index_.reset(faiss::read_index(info[0].As<Napi::String>().Utf8Value().c_str()));
        return;
      }
      const int dimension = info[0].As<Napi::Number>().Int32Value();
      const std::string description = info[1].As<Napi::String>().Utf8Value();
      const auto metric = static_cast<faiss::MetricType>(info[2].As<Napi::Number>().Int32Value());
      index_.reset(faiss::index_factory(dimension, description.c_str(), metric));
    });
  }

 private:
  std::unique_ptr<faiss::Index> index_;

  template <typename Call>
  static void attempt(const Napi::CallbackInfo& info, Call call) {
    try {
      call();
    } catch (const Napi::Error&) {
      throw;
    } catch (const std::exception& error) {
      throw Napi::Error::New(info.Env(), error.what());
    }
  }

  // The first argument, as rows of the index's dimension.
  Napi::Float32Array rows(const Napi::CallbackInfo& info) const {
    if (!info[0].IsTypedArray() || info[0].As<Napi::TypedArray>().TypedArrayType() != napi_float32_array)
      throw Napi::TypeError::New(info.Env(), "a Float32Array is needed");
    const auto numbers = info[0].As<Napi::Float32Array>();
    if (numbers.ElementLength() == 0 || numbers.ElementLength() % index_->d != 0)
      throw Napi::RangeError::New(info.Env(), "whole rows are needed");
    return numbers;
  }

  Napi::Value ntotal(const Napi::CallbackInfo& info) { return Napi::Number::New(info.Env(), index_->ntotal); }
  Napi::Value dimension(const Napi::CallbackInfo& info) { return Napi::Number::New(info.Env(), index_->d); }

  Napi::Value train(const Napi::CallbackInfo& info) {
    auto numbers = rows(info);
    attempt(info, [&] { index_->train(numbers.ElementLength() / index_->d, numbers.Data()); });
    return info.Env().Undefined();
  }

  Napi::Value add(const Napi::CallbackInfo& info) {
    auto numbers = rows(info);
    attempt(info, [&] { index_->add(numbers.ElementLength() / index_->d, numbers.Data()); });
    return info.Env().Undefined();
  }

  Napi::Value search(const Napi::CallbackInfo& info) {
    auto numbers = rows(info);
    const auto k = info[1].As<Napi::Number>().Int64Value();
    if (k < 1 || k > index_->ntotal) throw Napi::RangeError::New(info.Env(), "k is out of range");
    const size_t queries = numbers.ElementLength() / index_->d;
    auto distances = Napi::Float32Array::New(info.Env(), queries * k);
    auto labels = Napi::Int32Array::New(info.Env(), queries * k);
    std::unique_ptr<faiss::idx_t[]> wide(new faiss::idx_t[queries * k]);
    attempt(info, [&] { index_->search(queries, numbers.Data(), k, distances.Data(), wide.get()); });
    for (size_t i = 0; i < queries * k; i++) labels[i] = static_cast<int32_t>(wide[i]);
    auto found = Napi::Object::New(info.Env());
    found.Set("distances", distances);
    found.Set("labels", labels);
    return found;
  }

  Napi::Value write(const Napi::CallbackInfo& info) {
    attempt(info, [&] { faiss::write_index(index_.get(), info[0].As<Napi::String>().Utf8Value().c_str()); });
    return info.Env().Undefined();
  }
};

// The source below ends with this macro. This version registers our class as well as its own.
#undef NODE_API_MODULE
#define NODE_API_MODULE(name, init)                                              \
  static Napi::Object init_all(Napi::Env env, Napi::Object exports) {            \
    TypedIndex::add_to(env, exports);                                            \
    return init(env, exports);                                                   \
  }                                                                              \
  static napi_value register_all(napi_env env, napi_value exports) {             \
    return Napi::RegisterModule(env, exports, init_all);                         \
  }                                                                              \
  NAPI_MODULE(name, register_all)
