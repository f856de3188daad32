"""Mean images in the form that Caffe's compute_image_mean writes."""

from cnnvis.caffe.schema import messages


def write_binaryproto(path, image):
    """Write an image (channels, height, width) as a mean, float32."""
    channels, height, width = image.shape
    blob = messages.BlobProto(num=1, channels=channels, height=height, width=width)
    blob.data.extend(image.ravel())
    path.write_bytes(blob.SerializeToString())
