// The only C++ here: see shim.h. Every function catches what Arm NN throws.
//
// Written for Arm NN 20.08 and later. Where a later release changed a signature, the compiler picks the one that is
// there (overloads with an int win, those with a long are the fall-back); where it only changed what a call means or
// renamed it, ARMNN_MAJOR_VERSION decides.
#include <armnn/ArmNN.hpp>
#include <armnn/Utils.hpp>

#include <algorithm>
#include <cstring>
#include <exception>
#include <initializer_list>
#include <memory>
#include <mutex>
#include <new>
#include <string>
#include <vector>

extern "C" {
#include "backends/armnn/shim.h"
}

#define DEPTHWISE_HWC_VERSION 26 // 21.08: weights of depthwise convolutions are [1, H, W, M], before [M / C, C, H, W]
#define BINARY_LAYER_VERSION 33  // 23.08: one layer for Add, Mul, ...; those of their own are on the way out

// ---- What went wrong, as a status and a line ----

// Of the exception that is being handled; Arm NN's texts span lines.
static cosrel_status caught(cosrel_error *error) {
  try {
    throw;
  } catch (const std::bad_alloc &) {
    return cosrel_fail(error, COSREL_NOMEM, "out of memory");
  } catch (const std::exception &e) {
    char line[256];
    std::strncpy(line, e.what(), sizeof line - 1);
    line[sizeof line - 1] = '\0';
    for (char *c = line; *c != '\0'; c++)
      if (*c < ' ') *c = ' ';
    return cosrel_fail(error, COSREL_UNSUPPORTED, "Arm NN: %s", line);
  } catch (...) {
    return cosrel_fail(error, COSREL_UNSUPPORTED, "Arm NN failed");
  }
}

// ---- The runtime ----

// One for the process. Arm NN's registry is global: it is filled when a runtime is made and emptied when any is
// destroyed, so a second one would lose its backends with the first.
static std::mutex lock;
static armnn::IRuntime *runtime;
static unsigned n_users;

// Whoever holds one may use the runtime.
class User {
 public:
  User() {
    const std::lock_guard<std::mutex> guard(lock);
    if (runtime == nullptr) {
      armnn::ConfigureLogging(false, false, armnn::LogSeverity::Fatal); // stdout is not Arm NN's
      runtime = armnn::IRuntime::CreateRaw(armnn::IRuntime::CreationOptions());
    }
    n_users++;
  }
  ~User() {
    const std::lock_guard<std::mutex> guard(lock);
    if (--n_users > 0) return;
    armnn::IRuntime::Destroy(runtime);
    runtime = nullptr;
  }
  User(const User &) = delete;
  User &operator=(const User &) = delete;
};

// Best first.
static std::vector<std::string> list_devices() {
  std::vector<std::string> names;
  for (const armnn::BackendId &id : runtime->GetDeviceSpec().GetSupportedBackends()) names.push_back(id.Get());
  std::sort(names.begin(), names.end());
  for (const char *best : {"CpuRef", "CpuAcc", "GpuAcc"}) { // the last is first in the end
    const auto at = std::find(names.begin(), names.end(), best);
    if (at != names.end()) std::rotate(names.begin(), at, at + 1);
  }
  return names;
}

struct cosrel_armnn {
  User user;
  std::string device;
  uint32_t threads;
};

uint32_t cosrel_armnn_devices(char (*names)[COSREL_NAME_MAX], uint32_t max) {
  uint32_t n = 0;
  try {
    const User user;
    for (const std::string &name : list_devices()) {
      if (n == max || name.size() >= COSREL_NAME_MAX) continue;
      std::strcpy(names[n++], name.c_str());
    }
  } catch (...) { // no runtime, no devices
  }
  return n;
}

void cosrel_armnn_close(cosrel_armnn *armnn) { delete armnn; }

// ---- Building ----

using Layer = armnn::IConnectableLayer;

struct cosrel_armnn_graph {
  armnn::INetworkPtr network;
  std::vector<armnn::IOutputSlot *> tensors;
  std::vector<armnn::TensorInfo> inputs, outputs;
  std::vector<uint64_t> input_offsets, output_offsets;
  cosrel_status status;
  cosrel_error error;
};

cosrel_armnn_graph *cosrel_armnn_graph_create() {
  try {
    return new cosrel_armnn_graph{armnn::INetwork::Create(), {}, {}, {}, {}, {}, COSREL_OK, {""}};
  } catch (...) {
    return nullptr;
  }
}

void cosrel_armnn_graph_destroy(cosrel_armnn_graph *graph) { delete graph; }

static armnn::TensorInfo info_of(std::initializer_list<unsigned> dims) {
  return armnn::TensorInfo(static_cast<unsigned>(dims.size()), dims.begin(), armnn::DataType::Float32);
}
static armnn::TensorInfo info_of(const cosrel_shape *dims) {
  return armnn::TensorInfo(dims->rank, dims->dims, armnn::DataType::Float32);
}

// Newer releases want constants marked.
template <class Info>
static auto mark_constant(Info &info, int) -> decltype(info.SetConstant(true)) {
  info.SetConstant(true);
}
template <class Info>
static void mark_constant(Info &, long) {}

static armnn::ConstTensor constant(armnn::TensorInfo info, const void *data) {
  mark_constant(info, 0);
  return armnn::ConstTensor(info, data);
}

// Makes a layer with `make`, connects it to `xs` and says what comes out: the tensor's index, or -1.
template <class Make>
static int32_t add(cosrel_armnn_graph *graph, std::initializer_list<int32_t> xs, Make make) {
  if (graph->status != COSREL_OK) return -1;
  try {
    armnn::TensorInfo out;
    Layer *layer = make(*graph->network, out);
    unsigned slot = 0;
    for (const int32_t x : xs) graph->tensors.at(static_cast<size_t>(x))->Connect(layer->GetInputSlot(slot++));
    layer->GetOutputSlot(0).SetTensorInfo(out);
    graph->tensors.push_back(&layer->GetOutputSlot(0));
    return static_cast<int32_t>(graph->tensors.size() - 1);
  } catch (...) {
    graph->status = caught(&graph->error);
    return -1;
  }
}

static const armnn::TensorInfo &info_at(const cosrel_armnn_graph *graph, int32_t x) {
  return graph->tensors.at(static_cast<size_t>(x))->GetTensorInfo();
}

int32_t cosrel_armnn_input(cosrel_armnn_graph *graph, const cosrel_shape *dims, uint64_t offset) {
  return add(graph, {}, [&](armnn::INetwork &network, armnn::TensorInfo &out) {
    out = info_of(dims);
    graph->inputs.push_back(out);
    graph->input_offsets.push_back(offset);
    return network.AddInputLayer(static_cast<int>(graph->inputs.size() - 1));
  });
}

void cosrel_armnn_output(cosrel_armnn_graph *graph, int32_t x, uint64_t offset) {
  if (graph->status != COSREL_OK) return;
  try {
    graph->outputs.push_back(info_at(graph, x));
    graph->output_offsets.push_back(offset);
    Layer *layer = graph->network->AddOutputLayer(static_cast<int>(graph->outputs.size() - 1));
    graph->tensors.at(static_cast<size_t>(x))->Connect(layer->GetInputSlot(0));
  } catch (...) {
    graph->status = caught(&graph->error);
  }
}

int32_t cosrel_armnn_constant(cosrel_armnn_graph *graph, const cosrel_shape *dims, const float *data) {
  return add(graph, {}, [&](armnn::INetwork &network, armnn::TensorInfo &out) {
    const armnn::ConstTensor tensor = constant(info_of(dims), data);
    out = tensor.GetInfo();
    return network.AddConstantLayer(tensor);
  });
}

// ---- Moving elements ----

int32_t cosrel_armnn_reshape(cosrel_armnn_graph *graph, int32_t x, const cosrel_shape *dims) {
  return add(graph, {x}, [&](armnn::INetwork &network, armnn::TensorInfo &out) {
    out = info_of(dims);
    armnn::ReshapeDescriptor descriptor;
    descriptor.m_TargetShape = out.GetShape();
    return network.AddReshapeLayer(descriptor);
  });
}

int32_t cosrel_armnn_transpose(cosrel_armnn_graph *graph, int32_t x, const uint32_t *permutation) {
  return add(graph, {x}, [&](armnn::INetwork &network, armnn::TensorInfo &out) {
    const armnn::TensorShape &from = info_at(graph, x).GetShape();
    cosrel_shape to = {from.GetNumDimensions(), {}};
    for (uint32_t i = 0; i < to.rank; i++) to.dims[i] = from[permutation[i]];
    out = info_of(&to);
    return network.AddTransposeLayer(armnn::TransposeDescriptor(armnn::PermutationVector(permutation, to.rank)));
  });
}

int32_t cosrel_armnn_slice(cosrel_armnn_graph *graph, int32_t x, const uint32_t *begin, const cosrel_shape *dims) {
  return add(graph, {x}, [&](armnn::INetwork &network, armnn::TensorInfo &out) {
    out = info_of(dims);
    armnn::SliceDescriptor descriptor;
    descriptor.m_Begin.assign(begin, begin + dims->rank);
    descriptor.m_Size.assign(dims->dims, dims->dims + dims->rank);
    return network.AddSliceLayer(descriptor);
  });
}

int32_t cosrel_armnn_pad(cosrel_armnn_graph *graph, int32_t x, const uint32_t *before, const uint32_t *after,
                         float value) {
  return add(graph, {x}, [&](armnn::INetwork &network, armnn::TensorInfo &out) {
    const armnn::TensorShape &from = info_at(graph, x).GetShape();
    armnn::PadDescriptor descriptor;
    descriptor.m_PadValue = value;
    cosrel_shape to = {from.GetNumDimensions(), {}};
    for (uint32_t i = 0; i < to.rank; i++) {
      descriptor.m_PadList.emplace_back(before[i], after[i]);
      to.dims[i] = before[i] + from[i] + after[i];
    }
    out = info_of(&to);
    return network.AddPadLayer(descriptor);
  });
}

int32_t cosrel_armnn_concat(cosrel_armnn_graph *graph, const int32_t *xs, uint32_t n, uint32_t axis) {
  return add(graph, {}, [&](armnn::INetwork &network, armnn::TensorInfo &out) {
    std::vector<armnn::TensorShape> shapes;
    for (uint32_t i = 0; i < n; i++) shapes.push_back(info_at(graph, xs[i]).GetShape());
    armnn::TensorShape whole = shapes.at(0);
    for (uint32_t i = 1; i < n; i++) whole[axis] += shapes[i][axis];
    out = armnn::TensorInfo(whole, armnn::DataType::Float32);
    Layer *layer = network.AddConcatLayer(armnn::CreateDescriptorForConcatenation(shapes.begin(), shapes.end(), axis));
    for (uint32_t i = 0; i < n; i++) graph->tensors.at(static_cast<size_t>(xs[i]))->Connect(layer->GetInputSlot(i));
    return layer;
  });
}

// ---- Layers with weights: inputs of the layer in newer releases, arguments of the call in older ones ----

using Bias = armnn::Optional<armnn::ConstTensor>;

// A template, because with older releases nobody calls it.
template <class Network>
static Layer *attach(Network &network, Layer *layer, const armnn::ConstTensor &weights, const Bias &bias) {
  const auto connect = [&](unsigned slot, const armnn::ConstTensor &tensor) {
    Layer *holder = network.AddConstantLayer(tensor);
    holder->GetOutputSlot(0).SetTensorInfo(tensor.GetInfo());
    holder->GetOutputSlot(0).Connect(layer->GetInputSlot(slot));
  };
  connect(1, weights);
  if (bias.has_value()) connect(2, bias.value());
  return layer;
}

#define WEIGHTED(name, Add, Descriptor)                                                                        \
  template <class Network>                                                                                     \
  static auto name(Network &network, const armnn::Descriptor &descriptor, const armnn::ConstTensor &weights,   \
                   const Bias &bias, int)                                                                      \
      ->decltype(network.Add(descriptor, "")) {                                                                \
    return attach(network, network.Add(descriptor), weights, bias);                                            \
  }                                                                                                            \
  template <class Network>                                                                                     \
  static Layer *name(Network &network, const armnn::Descriptor &descriptor, const armnn::ConstTensor &weights, \
                     const Bias &bias, long) {                                                                 \
    return network.Add(descriptor, weights, bias);                                                             \
  }
WEIGHTED(add_conv, AddConvolution2dLayer, Convolution2dDescriptor)
WEIGHTED(add_depthwise, AddDepthwiseConvolution2dLayer, DepthwiseConvolution2dDescriptor)
WEIGHTED(add_dense, AddFullyConnectedLayer, FullyConnectedDescriptor)
#undef WEIGHTED

template <class Descriptor>
static Descriptor slide(const cosrel_window *window, const float *bias) {
  Descriptor descriptor;
  descriptor.m_PadTop = window->pad[0];
  descriptor.m_PadLeft = window->pad[1];
  descriptor.m_PadBottom = window->pad[2];
  descriptor.m_PadRight = window->pad[3];
  descriptor.m_StrideY = window->stride[0];
  descriptor.m_StrideX = window->stride[1];
  descriptor.m_BiasEnabled = bias != nullptr;
  descriptor.m_DataLayout = armnn::DataLayout::NHWC;
  return descriptor;
}

// Weights [M, taps] as this release wants them; input channel i makes output channels i * M / C and those after it.
static armnn::ConstTensor pack_depthwise(const float *weights, unsigned c, unsigned m, const uint32_t *kernel,
                                         std::vector<float> &packed) {
  const bool taps_first = ARMNN_MAJOR_VERSION >= DEPTHWISE_HWC_VERSION;
  const size_t taps = static_cast<size_t>(kernel[0]) * kernel[1], each = m / c;
  packed.resize(taps * m);
  for (size_t i = 0; i < m; i++)
    for (size_t t = 0; t < taps; t++)
      packed[taps_first ? t * m + i : (i % each * c + i / each) * taps + t] = weights[i * taps + t];
  return constant(taps_first ? info_of({1, kernel[0], kernel[1], m}) : info_of({m / c, c, kernel[0], kernel[1]}),
                  packed.data());
}

int32_t cosrel_armnn_conv(cosrel_armnn_graph *graph, int32_t x, cosrel_armnn_conv_kind kind,
                          const cosrel_window *window, const float *weights, const float *bias,
                          const cosrel_shape *dims) {
  return add(graph, {x}, [&](armnn::INetwork &network, armnn::TensorInfo &out) {
    const unsigned c = info_at(graph, x).GetShape()[3], m = dims->dims[3];
    const armnn::ConstTensor shift = constant(info_of({m}), bias);
    const Bias optional = bias == nullptr ? Bias() : Bias(shift);
    const armnn::TensorInfo whole = info_of({m, window->kernel[0], window->kernel[1], c});
    out = info_of(dims);
    if (kind == COSREL_ARMNN_CONV_TRANSPOSE) {
      const auto descriptor = slide<armnn::TransposeConvolution2dDescriptor>(window, bias);
      return network.AddTransposeConvolution2dLayer(descriptor, constant(whole, weights), optional);
    }
    if (kind == COSREL_ARMNN_CONV) {
      auto descriptor = slide<armnn::Convolution2dDescriptor>(window, bias);
      descriptor.m_DilationY = window->dilation[0];
      descriptor.m_DilationX = window->dilation[1];
      return add_conv(network, descriptor, constant(whole, weights), optional, 0);
    }
    std::vector<float> packed;
    auto descriptor = slide<armnn::DepthwiseConvolution2dDescriptor>(window, bias);
    descriptor.m_DilationY = window->dilation[0];
    descriptor.m_DilationX = window->dilation[1];
    return add_depthwise(network, descriptor, pack_depthwise(weights, c, m, window->kernel, packed), optional, 0);
  });
}

int32_t cosrel_armnn_dense_layer(cosrel_armnn_graph *graph, int32_t x, uint32_t n, const float *weights,
                                 const float *bias) {
  return add(graph, {x}, [&](armnn::INetwork &network, armnn::TensorInfo &out) {
    const armnn::TensorShape &from = info_at(graph, x).GetShape();
    const armnn::ConstTensor shift = constant(info_of({n}), bias);
    armnn::FullyConnectedDescriptor descriptor;
    descriptor.m_BiasEnabled = bias != nullptr;
    descriptor.m_TransposeWeightMatrix = true;
    out = info_of({from[0], n});
    return add_dense(network, descriptor, constant(info_of({n, from[1]}), weights),
                     bias == nullptr ? Bias() : Bias(shift), 0);
  });
}

// ---- Other layers on images ----

int32_t cosrel_armnn_pool(cosrel_armnn_graph *graph, int32_t x, cosrel_armnn_pool_kind kind,
                          const cosrel_window *window, const cosrel_shape *dims) {
  return add(graph, {x}, [&](armnn::INetwork &network, armnn::TensorInfo &out) {
    armnn::Pooling2dDescriptor descriptor;
    descriptor.m_PoolType = kind == COSREL_ARMNN_MAX ? armnn::PoolingAlgorithm::Max : armnn::PoolingAlgorithm::Average;
    descriptor.m_PoolHeight = window->kernel[0];
    descriptor.m_PoolWidth = window->kernel[1];
    descriptor.m_StrideY = window->stride[0];
    descriptor.m_StrideX = window->stride[1];
    descriptor.m_PadTop = window->pad[0];
    descriptor.m_PadLeft = window->pad[1];
    descriptor.m_PadBottom = window->pad[2];
    descriptor.m_PadRight = window->pad[3];
    descriptor.m_PaddingMethod =
        kind == COSREL_ARMNN_AVERAGE_WITH_PADS ? armnn::PaddingMethod::IgnoreValue : armnn::PaddingMethod::Exclude;
    descriptor.m_DataLayout = armnn::DataLayout::NHWC;
    out = info_of(dims);
    return network.AddPooling2dLayer(descriptor);
  });
}

int32_t cosrel_armnn_resize(cosrel_armnn_graph *graph, int32_t x, cosrel_armnn_resize_kind kind,
                            const cosrel_shape *dims) {
  return add(graph, {x}, [&](armnn::INetwork &network, armnn::TensorInfo &out) {
    armnn::ResizeDescriptor descriptor;
    descriptor.m_TargetHeight = dims->dims[1];
    descriptor.m_TargetWidth = dims->dims[2];
    descriptor.m_Method =
        kind == COSREL_ARMNN_NEAREST ? armnn::ResizeMethod::NearestNeighbor : armnn::ResizeMethod::Bilinear;
    descriptor.m_AlignCorners = kind == COSREL_ARMNN_BILINEAR_ALIGNED;
    descriptor.m_HalfPixelCenters = kind == COSREL_ARMNN_BILINEAR_HALF_PIXEL;
    descriptor.m_DataLayout = armnn::DataLayout::NHWC;
    out = info_of(dims);
    return network.AddResizeLayer(descriptor);
  });
}

int32_t cosrel_armnn_lrn(cosrel_armnn_graph *graph, int32_t x, uint32_t size, float alpha, float beta, float bias) {
  return add(graph, {x}, [&](armnn::INetwork &network, armnn::TensorInfo &out) {
    armnn::NormalizationDescriptor descriptor;
    descriptor.m_NormSize = size;
    descriptor.m_Alpha = alpha;
    descriptor.m_Beta = beta;
    descriptor.m_K = bias;
    descriptor.m_DataLayout = armnn::DataLayout::NHWC;
    out = info_at(graph, x);
    return network.AddNormalizationLayer(descriptor);
  });
}

int32_t cosrel_armnn_batch_norm(cosrel_armnn_graph *graph, int32_t x, const float *mean, const float *variance,
                                const float *scale, const float *shift, float epsilon) {
  return add(graph, {x}, [&](armnn::INetwork &network, armnn::TensorInfo &out) {
    const armnn::TensorInfo each = info_of({info_at(graph, x).GetShape()[3]});
    armnn::BatchNormalizationDescriptor descriptor;
    descriptor.m_Eps = epsilon;
    descriptor.m_DataLayout = armnn::DataLayout::NHWC;
    out = info_at(graph, x);
    return network.AddBatchNormalizationLayer(descriptor, constant(each, mean), constant(each, variance),
                                              constant(each, shift), constant(each, scale));
  });
}

// ---- Element by element ----

int32_t cosrel_armnn_activate(cosrel_armnn_graph *graph, int32_t x, cosrel_armnn_activation what, float a, float b) {
  static const armnn::ActivationFunction theirs[] = {
#define X(name, function) armnn::ActivationFunction::function,
      COSREL_ARMNN_ACTIVATION_MAP(X)
#undef X
  };
  return add(graph, {x}, [&](armnn::INetwork &network, armnn::TensorInfo &out) {
    out = info_at(graph, x);
    return network.AddActivationLayer(armnn::ActivationDescriptor(theirs[what], a, b));
  });
}

int32_t cosrel_armnn_apply(cosrel_armnn_graph *graph, int32_t x, cosrel_armnn_unary what) {
  return add(graph, {x}, [&](armnn::INetwork &network, armnn::TensorInfo &out) {
    out = info_at(graph, x);
    armnn::UnaryOperation operation = armnn::UnaryOperation::Exp;
    if (what == COSREL_ARMNN_FLOOR) return network.AddFloorLayer();
    if (what == COSREL_ARMNN_NEG) operation = armnn::UnaryOperation::Neg;
    if (what == COSREL_ARMNN_SQRT) operation = armnn::UnaryOperation::Sqrt;
    return network.AddElementwiseUnaryLayer(armnn::ElementwiseUnaryDescriptor(operation));
  });
}

static Layer *add_binary(armnn::INetwork &network, cosrel_armnn_binary what) {
  if (what == COSREL_ARMNN_PRELU) return network.AddPreluLayer();
#if ARMNN_MAJOR_VERSION >= BINARY_LAYER_VERSION
  armnn::BinaryOperation operation = armnn::BinaryOperation::Add;
  if (what == COSREL_ARMNN_DIV) operation = armnn::BinaryOperation::Div;
  if (what == COSREL_ARMNN_MAXIMUM) operation = armnn::BinaryOperation::Maximum;
  if (what == COSREL_ARMNN_MINIMUM) operation = armnn::BinaryOperation::Minimum;
  if (what == COSREL_ARMNN_MUL) operation = armnn::BinaryOperation::Mul;
  if (what == COSREL_ARMNN_SUB) operation = armnn::BinaryOperation::Sub;
  return network.AddElementwiseBinaryLayer(armnn::ElementwiseBinaryDescriptor(operation));
#else
  if (what == COSREL_ARMNN_DIV) return network.AddDivisionLayer();
  if (what == COSREL_ARMNN_MAXIMUM) return network.AddMaximumLayer();
  if (what == COSREL_ARMNN_MINIMUM) return network.AddMinimumLayer();
  if (what == COSREL_ARMNN_MUL) return network.AddMultiplicationLayer();
  if (what == COSREL_ARMNN_SUB) return network.AddSubtractionLayer();
  return network.AddAdditionLayer();
#endif
}

int32_t cosrel_armnn_combine(cosrel_armnn_graph *graph, int32_t x, int32_t y, cosrel_armnn_binary what) {
  return add(graph, {x, y}, [&](armnn::INetwork &network, armnn::TensorInfo &out) {
    const armnn::TensorShape &a = info_at(graph, x).GetShape(), &b = info_at(graph, y).GetShape();
    cosrel_shape to = {a.GetNumDimensions(), {}};
    for (uint32_t i = 0; i < to.rank; i++) {
      if (a[i] != b[i] && a[i] != 1 && b[i] != 1) throw armnn::InvalidArgumentException("operands do not fit");
      to.dims[i] = std::max(a[i], b[i]);
    }
    out = info_of(&to);
    return add_binary(network, what);
  });
}

// ---- Along axes ----

int32_t cosrel_armnn_softmax(cosrel_armnn_graph *graph, int32_t x, bool logarithm) {
  return add(graph, {x}, [&](armnn::INetwork &network, armnn::TensorInfo &out) {
    out = info_at(graph, x);
    const armnn::SoftmaxDescriptor descriptor;
    return logarithm ? network.AddLogSoftmaxLayer(descriptor) : network.AddSoftmaxLayer(descriptor);
  });
}

int32_t cosrel_armnn_mean(cosrel_armnn_graph *graph, int32_t x, uint32_t axes) {
  return add(graph, {x}, [&](armnn::INetwork &network, armnn::TensorInfo &out) {
    const armnn::TensorShape &from = info_at(graph, x).GetShape();
    armnn::MeanDescriptor descriptor;
    descriptor.m_KeepDims = true;
    cosrel_shape to = {from.GetNumDimensions(), {}};
    for (uint32_t i = 0; i < to.rank; i++) {
      const bool reduced = (axes >> i & 1) != 0;
      to.dims[i] = reduced ? 1 : from[i];
      if (reduced) descriptor.m_Axis.push_back(i);
    }
    out = info_of(&to);
    return network.AddMeanLayer(descriptor);
  });
}

// ---- Running ----

struct cosrel_armnn_network {
  armnn::NetworkId id;
  armnn::InputTensors inputs;
  armnn::OutputTensors outputs;
  std::vector<uint64_t> input_offsets, output_offsets;
};

static armnn::IOptimizedNetworkPtr optimize(const cosrel_armnn *armnn, const armnn::INetwork &network) {
  const std::vector<armnn::BackendId> preferences = {armnn->device};
#if ARMNN_MAJOR_VERSION >= BINARY_LAYER_VERSION
  armnn::OptimizerOptionsOpaque options;
  if (armnn->threads > 0 && armnn->device == "CpuAcc")
    options.AddModelOption(armnn::BackendOptions("CpuAcc", {{"NumberOfThreads", armnn->threads}}));
#else
  const armnn::OptimizerOptions options;
#endif
  return armnn::Optimize(network, preferences, runtime->GetDeviceSpec(), options);
}

cosrel_status cosrel_armnn_load(cosrel_armnn *armnn, const cosrel_armnn_graph *graph, cosrel_armnn_network **out,
                                cosrel_error *error) {
  if (graph->status != COSREL_OK) return cosrel_fail(error, graph->status, "%.400s", graph->error.text);
  try {
    const std::lock_guard<std::mutex> guard(lock);
    armnn::IOptimizedNetworkPtr optimized = optimize(armnn, *graph->network);
    if (optimized == nullptr) return cosrel_fail(error, COSREL_UNSUPPORTED, "Arm NN: a layer is not for this device");
    if (out == nullptr) return COSREL_OK;
    std::unique_ptr<cosrel_armnn_network> network(
        new cosrel_armnn_network{0, {}, {}, graph->input_offsets, graph->output_offsets});
    for (size_t i = 0; i < graph->inputs.size(); i++)
      network->inputs.emplace_back(static_cast<int>(i), constant(graph->inputs[i], nullptr));
    for (size_t i = 0; i < graph->outputs.size(); i++)
      network->outputs.emplace_back(static_cast<int>(i), armnn::Tensor(graph->outputs[i], nullptr));
    std::string why;
    if (runtime->LoadNetwork(network->id, std::move(optimized), why) != armnn::Status::Success)
      return cosrel_fail(error, COSREL_UNSUPPORTED, "Arm NN: a network was not loaded: %.200s", why.c_str());
    *out = network.release();
    return COSREL_OK;
  } catch (...) {
    return caught(error);
  }
}

void cosrel_armnn_unload(cosrel_armnn_network *network) {
  if (network == nullptr) return;
  try {
    const std::lock_guard<std::mutex> guard(lock);
    runtime->UnloadNetwork(network->id);
  } catch (...) { // nothing that anybody could do
  }
  delete network;
}

cosrel_status cosrel_armnn_run(cosrel_armnn_network *network, void *memory) {
  try {
    char *base = static_cast<char *>(memory);
    for (size_t i = 0; i < network->inputs.size(); i++) {
      armnn::ConstTensor &tensor = network->inputs[i].second;
      tensor = constant(tensor.GetInfo(), base + network->input_offsets[i]);
    }
    for (size_t i = 0; i < network->outputs.size(); i++) {
      armnn::Tensor &tensor = network->outputs[i].second;
      tensor = armnn::Tensor(tensor.GetInfo(), base + network->output_offsets[i]);
    }
    const armnn::Status status = runtime->EnqueueWorkload(network->id, network->inputs, network->outputs);
    return status == armnn::Status::Success ? COSREL_OK : COSREL_INTERNAL;
  } catch (const std::bad_alloc &) {
    return COSREL_NOMEM;
  } catch (...) {
    return COSREL_INTERNAL;
  }
}

// ---- Opening ----

// A backend may be in the registry and not work: GpuAcc without a GPU. So each is tried.
static cosrel_status try_out(cosrel_armnn *armnn, cosrel_error *error) {
  const cosrel_shape dims = {1, {4}};
  float memory[] = {-2, -1, 1, 2, 9, 9, 9, 9};
  const float expected[] = {0, 0, 1, 2};
  cosrel_armnn_network *network = nullptr;
  cosrel_armnn_graph *graph = cosrel_armnn_graph_create();
  if (graph == nullptr) return cosrel_fail(error, COSREL_NOMEM, "out of memory");
  const int32_t x = cosrel_armnn_input(graph, &dims, 0);
  cosrel_armnn_output(graph, cosrel_armnn_activate(graph, x, COSREL_ARMNN_RELU, 0, 0), sizeof expected);
  cosrel_status status = cosrel_armnn_load(armnn, graph, &network, error);
  cosrel_armnn_graph_destroy(graph);
  if (status != COSREL_OK) return status;
  status = cosrel_armnn_run(network, memory);
  cosrel_armnn_unload(network);
  if (status == COSREL_OK && std::memcmp(memory + 4, expected, sizeof expected) == 0) return COSREL_OK;
  return cosrel_fail(error, COSREL_UNSUPPORTED, "Arm NN's %.63s does not work here", armnn->device.c_str());
}

cosrel_status cosrel_armnn_open(const char *device, uint32_t threads, cosrel_armnn **out, cosrel_error *error) {
  try {
    std::unique_ptr<cosrel_armnn> armnn(new cosrel_armnn());
    armnn->threads = threads;
    const std::vector<std::string> names = list_devices();
    std::string all;
    cosrel_status status = cosrel_fail(error, COSREL_UNSUPPORTED, "Arm NN has no backend here");
    for (const std::string &name : names) {
      all += (all.empty() ? "" : " or ") + name;
      if (device[0] != '\0' && name != device) continue;
      if (name == "CpuRef" && threads > 1)
        return cosrel_fail(error, COSREL_UNSUPPORTED, "expected threads=1, CpuRef has no others");
      armnn->device = name;
      status = try_out(armnn.get(), error);
      if (status == COSREL_OK) {
        *out = armnn.release();
        return COSREL_OK;
      }
    }
    if (armnn->device.empty() && !all.empty())
      return cosrel_fail(error, COSREL_UNSUPPORTED, "expected device=%.200s", all.c_str());
    return status;
  } catch (...) {
    return caught(error);
  }
}
