package edgekit

import kotlin.math.abs
import kotlin.math.floor
import kotlin.math.max
import kotlin.math.min

/**
 * What has to be done to a picture before the model sees it, to the bit what edgekit does in Python. No Android here.
 *
 * Resizing with antialiasing is Pillow's algorithm: one pass a direction, horizontal first, weights in fixed point with
 * 22 bits behind the point, a rounded 8-bit image between the two passes. Without antialiasing a pixel is the weighted
 * sum of 2x2 (bilinear) or 4x4 (bicubic) source pixels around the half-pixel centre, in float32.
 */
class Preprocess(
    val width: Int,
    val height: Int,
    val bgr: Boolean,
    val resize: String, // nearest, bilinear, bicubic or area
    val antialias: Boolean,
    val centerCrop: Boolean,
    val mean: FloatArray, // three values each on the 0..255 scale, in the order of the channels
    val std: FloatArray
) {
    /** RGB of any size -> RGB or BGR, as the model wants it, of the model's size. */
    fun resized(picture: Rgb): ByteArray {
        var image = if (centerCrop) centerSquare(picture) else picture
        if (image.width != width || image.height != height) {
            image = when {
                resize == "nearest" -> nearest(image, width, height)
                antialias || resize == "area" -> convolved(image, width, height, filterNamed(resize))
                else -> pointSampled(image, width, height, resize == "bicubic")
            }
        }
        return if (bgr) swapped(image.pixels) else image.pixels.copyOf()
    }

    /** Resized pixels -> what a float32 input holds. */
    fun normalized(pixels: ByteArray): FloatArray =
        FloatArray(pixels.size) { at -> ((pixels[at].toInt() and 255).toFloat() - mean[at % 3]) / std[at % 3] }

    /** Resized pixels -> what an integer input holds; `lowest` is 0 for uint8 and -128 for int8. */
    fun quantized(pixels: ByteArray, scale: Double, zeroPoint: Int, lowest: Int): ByteArray {
        val real = normalized(pixels)
        return ByteArray(pixels.size) { at ->
            val code = Math.rint(real[at].toDouble() / scale) + zeroPoint // half to even
            min(max(code, lowest.toDouble()), lowest + 255.0).toInt().toByte()
        }
    }
}

/** 8-bit RGB, row by row. */
class Rgb(val pixels: ByteArray, val width: Int, val height: Int)

/** What Android's Bitmap.getPixels gives: 0xAARRGGBB with alpha not multiplied in, laid on white. */
fun onWhite(argb: IntArray, width: Int, height: Int): Rgb {
    val rgb = ByteArray(argb.size * 3)
    for (at in argb.indices) {
        val alpha = argb[at] ushr 24
        for (channel in 0..2) {
            val value = (argb[at] shr (16 - 8 * channel)) and 255
            val sum = value * alpha + 255 * (255 - alpha) + 128
            rgb[at * 3 + channel] = (((sum shr 8) + sum) shr 8).toByte() // sum / 255, rounded
        }
    }
    return Rgb(rgb, width, height)
}

/** Turns a picture upright. `orientation` is EXIF's, 1 to 8; camera frames that are turned by 90, 180, 270 degrees
 *  clockwise until they are upright are 6, 3, 8. */
fun upright(picture: Rgb, orientation: Int): Rgb {
    if (orientation !in 2..8) return picture
    val w = picture.width
    val h = picture.height
    val turned = orientation >= 5
    val newWidth = if (turned) h else w
    val newHeight = if (turned) w else h
    val result = ByteArray(picture.pixels.size)
    for (y in 0 until newHeight) {
        for (x in 0 until newWidth) {
            val fromX = when (orientation) { 2, 3 -> w - 1 - x; 5, 6 -> y; 7, 8 -> w - 1 - y; else -> x }
            val fromY = when (orientation) { 3, 4 -> h - 1 - y; 5, 8 -> x; 6, 7 -> h - 1 - x; else -> y }
            System.arraycopy(picture.pixels, (fromY * w + fromX) * 3, result, (y * newWidth + x) * 3, 3)
        }
    }
    return Rgb(result, newWidth, newHeight)
}

private const val PRECISION = 22 // bits behind the point: 8 bits of pixel and the sign of a sum leave them in 32
private const val HALF = 1 shl (PRECISION - 1)

/** Reach in source pixels, and weight by signed distance. The order of the operations decides the last bit. */
private class Filter(val reach: Double, val weight: (Double) -> Double)

private fun filterNamed(name: String): Filter = when (name) {
    "area" -> Filter(0.5) { x -> if (x > -0.5 && x <= 0.5) 1.0 else 0.0 }
    "bilinear" -> Filter(1.0) { x -> max(1.0 - abs(x), 0.0) }
    "bicubic" -> Filter(2.0) { x ->
        val d = abs(x)
        when {
            d < 1.0 -> (1.5 * d - 2.5) * d * d + 1.0
            d < 2.0 -> (((d - 5.0) * d + 8.0) * d - 4.0) * -0.5
            else -> 0.0
        }
    }
    else -> throw IllegalArgumentException("unknown resize filter $name")
}

private fun centerSquare(image: Rgb): Rgb {
    val side = min(image.width, image.height)
    val left = (image.width - side) / 2
    val top = (image.height - side) / 2
    val square = ByteArray(side * side * 3)
    for (y in 0 until side) {
        System.arraycopy(image.pixels, ((top + y) * image.width + left) * 3, square, y * side * 3, side * 3)
    }
    return Rgb(square, side, side)
}

private fun swapped(rgb: ByteArray): ByteArray = ByteArray(rgb.size) { at -> rgb[at + 2 - 2 * (at % 3)] }

private fun nearest(image: Rgb, newWidth: Int, newHeight: Int): Rgb {
    val columns = nearestPositions(image.width, newWidth)
    val rows = nearestPositions(image.height, newHeight)
    val result = ByteArray(newWidth * newHeight * 3)
    var to = 0
    for (row in rows) {
        for (column in columns) {
            System.arraycopy(image.pixels, (row * image.width + column) * 3, result, to, 3)
            to += 3
        }
    }
    return Rgb(result, newWidth, newHeight)
}

private fun nearestPositions(size: Int, newSize: Int): IntArray {
    val step = size.toDouble() / newSize
    var position = step * 0.5
    val positions = IntArray(newSize)
    for (at in 0 until newSize) {
        positions[at] = position.toInt()
        position += step // added up, as Pillow does
    }
    return positions
}

private fun convolved(image: Rgb, newWidth: Int, newHeight: Int, filter: Filter): Rgb {
    val wide = if (image.width == newWidth) image else alongRows(image, weights(image.width, newWidth, filter))
    return if (wide.height == newHeight) wide else alongColumns(wide, weights(wide.height, newHeight, filter))
}

/** Of a new pixel: the first source pixel, and the weights of those from there on. */
private class Taps(val first: Int, val weights: IntArray)

private fun weights(size: Int, newSize: Int, filter: Filter): List<Taps> {
    val scale = size.toDouble() / newSize
    val stretch = max(scale, 1.0)
    val support = filter.reach * stretch
    val shrink = 1.0 / stretch
    return List(newSize) { at ->
        val center = (at + 0.5) * scale
        val first = max((center - support + 0.5).toInt(), 0)
        val last = min((center + support + 0.5).toInt(), size)
        val real = DoubleArray(last - first) { tap -> filter.weight((tap + first - center + 0.5) * shrink) }
        var total = 0.0
        for (weight in real) total += weight
        Taps(first, IntArray(real.size) { tap -> fixed(if (total != 0.0) real[tap] / total else real[tap]) })
    }
}

private fun fixed(value: Double): Int = (value * (1 shl PRECISION) + (if (value < 0.0) -0.5 else 0.5)).toInt()

private fun toByte(sum: Int): Byte = min(max(sum shr PRECISION, 0), 255).toByte()

private fun alongRows(image: Rgb, table: List<Taps>): Rgb {
    val result = ByteArray(table.size * image.height * 3)
    var to = 0
    for (y in 0 until image.height) {
        for (taps in table) {
            for (channel in 0..2) {
                var sum = HALF
                var from = (y * image.width + taps.first) * 3 + channel
                for (weight in taps.weights) {
                    sum += (image.pixels[from].toInt() and 255) * weight
                    from += 3
                }
                result[to++] = toByte(sum)
            }
        }
    }
    return Rgb(result, table.size, image.height)
}

private fun alongColumns(image: Rgb, table: List<Taps>): Rgb {
    val stride = image.width * 3
    val result = ByteArray(table.size * stride)
    var to = 0
    for (taps in table) {
        for (x in 0 until stride) {
            var sum = HALF
            var from = taps.first * stride + x
            for (weight in taps.weights) {
                sum += (image.pixels[from].toInt() and 255) * weight
                from += stride
            }
            result[to++] = toByte(sum)
        }
    }
    return Rgb(result, image.width, table.size)
}

/** Of a new pixel: source pixels (none outside the picture has a weight) and their weights. */
private class Points(val at: IntArray, val weights: FloatArray)

private fun points(size: Int, newSize: Int, cubic: Boolean): List<Points> {
    val count = if (cubic) 4 else 2
    return List(newSize) { at ->
        val center = (at + 0.5) * (size.toDouble() / newSize) - 0.5
        val places = IntArray(count) { tap -> floor(center).toInt() + 1 - count / 2 + tap }
        val real = DoubleArray(count) { tap ->
            val distance = abs(center - places[tap])
            if (places[tap] < 0 || places[tap] >= size) 0.0 else if (cubic) keys(distance) else max(1.0 - distance, 0.0)
        }
        var total = 0.0
        for (weight in real) total += weight
        Points(
            IntArray(count) { tap -> min(max(places[tap], 0), size - 1) },
            FloatArray(count) { tap -> (real[tap] / total).toFloat() }
        )
    }
}

/** Keys' cubic convolution, a = -0.5. */
private fun keys(d: Double): Double = when {
    d < 1.0 -> (1.5 * d - 2.5) * d * d + 1.0
    d < 2.0 -> ((-0.5 * d + 2.5) * d - 4.0) * d + 2.0
    else -> 0.0
}

private fun pointSampled(image: Rgb, newWidth: Int, newHeight: Int, cubic: Boolean): Rgb {
    val columns = points(image.width, newWidth, cubic)
    val rows = points(image.height, newHeight, cubic)
    val result = ByteArray(newWidth * newHeight * 3)
    var to = 0
    for (row in rows) {
        for (column in columns) {
            for (channel in 0..2) {
                var sum = 0f
                for (across in column.at.indices) {
                    var line = 0f
                    for (down in row.at.indices) {
                        val from = (row.at[down] * image.width + column.at[across]) * 3 + channel
                        line += (image.pixels[from].toInt() and 255).toFloat() * row.weights[down]
                    }
                    sum += line * column.weights[across]
                }
                result[to++] = min(max(floor(sum + 0.5f).toInt(), 0), 255).toByte()
            }
        }
    }
    return Rgb(result, newWidth, newHeight)
}
