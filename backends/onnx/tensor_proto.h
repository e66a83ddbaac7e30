/* TensorProto messages as tensors. */
#ifndef COSREL_BACKENDS_ONNX_TENSOR_PROTO_H
#define COSREL_BACKENDS_ONNX_TENSOR_PROTO_H

#include "backends/onnx/onnx.pb-c.h"
#include "backends/tensor.h"

/* The type that an ONNX data type is computed in: float16 is widened to float. COSREL_UNSUPPORTED for those that cosrel
 * does not compute. */
cosrel_status cosrel_tensor_proto_dtype(int32_t data_type, cosrel_dtype *dtype, cosrel_error *error);

/* Sets type and shape, and checks that the data is there, whole and not in another file. data becomes NULL. */
cosrel_status cosrel_tensor_proto_check(const Onnx__TensorProto *proto, cosrel_tensor *tensor, cosrel_error *error);

/* Copies the elements of a checked tensor to tensor->data, which has room for cosrel_tensor_bytes. */
void cosrel_tensor_proto_copy(const Onnx__TensorProto *proto, const cosrel_tensor *tensor);

#endif
