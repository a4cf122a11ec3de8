package edgekit

import android.content.Context
import android.graphics.Bitmap
import android.graphics.ImageDecoder
import com.google.ai.edge.litert.Accelerator
import com.google.ai.edge.litert.CompiledModel
import java.nio.ByteBuffer

/** A class, its score, and where it stands among the labels. */
class Scored(val label: String, val score: Float, val index: Int)

/**
 * The model as Android sees it: pictures and assets on this side, Preprocess.kt and LiteRT on the other. Open it once,
 * off the main thread; one thread at a time may use it.
 */
class Classifier(private val context: Context, accelerator: Accelerator = Accelerator.CPU) : AutoCloseable {
    val labels: List<String> = text(Model.FOLDER + "labels.txt").removeSuffix("\n").split("\n")
    private val compiled =
        CompiledModel.create(context.assets, Model.FOLDER + Model.FILE, CompiledModel.Options(accelerator), null)
    private val inputs = compiled.createInputBuffers()
    private val outputs = compiled.createOutputBuffers()

    /** The best classes, best first. */
    fun classify(bitmap: Bitmap, count: Int = 5): List<Scored> {
        val scores = scores(Model.preprocess.resized(rgbOf(bitmap)))
        return scores.indices.sortedByDescending { scores[it] }.take(count).map { Scored(labels[it], scores[it], it) }
    }

    /** Pixels that `Model.preprocess.resized` made -> one score a class. A camera's frame goes through `upright` before. */
    fun scores(pixels: ByteArray): FloatArray {
        if (Model.INPUT_SCALE == null) {
            inputs[0].writeFloat(Model.preprocess.normalized(pixels))
        } else {
            val lowest = if (Model.INPUT_SIGNED) -128 else 0
            inputs[0].writeInt8(
                Model.preprocess.quantized(pixels, Model.INPUT_SCALE, Model.INPUT_ZERO_POINT, lowest)
            )
        }
        compiled.run(inputs, outputs)
        if (Model.OUTPUT_SCALE == null) return outputs[0].readFloat()
        val held = outputs[0].readInt8()
        return FloatArray(held.size) { at ->
            val code = if (Model.OUTPUT_SIGNED) held[at].toInt() else held[at].toInt() and 255
            (code - Model.OUTPUT_ZERO_POINT).toFloat() * Model.OUTPUT_SCALE.toFloat()
        }
    }

    /** Runs the golden vectors that came with the model. Call it in a test, or once after each update of the app. */
    fun selfCheck(): SelfCheck = SelfCheck(Model.GOLDEN_CRC32.mapIndexed { number, crc32 ->
        val image = "golden/$number.png"
        val pixels = Model.preprocess.resized(rgbOf(decode(asset(Model.FOLDER + image))))
        check(image, pixels, crc32, scores(pixels), scoresOf(text(Model.FOLDER + "golden/$number.txt")), Model.TOLERANCE)
    })

    override fun close() {
        inputs.forEach { it.close() }
        outputs.forEach { it.close() }
        compiled.close()
    }

    private fun asset(name: String): ByteArray = context.assets.open(name).use { it.readBytes() }
    private fun text(name: String): String = String(asset(name), Charsets.UTF_8)

    companion object {
        /** A file's bytes -> a bitmap, upright (ImageDecoder follows EXIF), whose alpha is not multiplied in. */
        fun decode(file: ByteArray): Bitmap =
            ImageDecoder.decodeBitmap(ImageDecoder.createSource(ByteBuffer.wrap(file))) { decoder, _, _ ->
                decoder.allocator = ImageDecoder.ALLOCATOR_SOFTWARE
                decoder.isUnpremultipliedRequired = true
            }

        private fun rgbOf(bitmap: Bitmap): Rgb {
            val argb = IntArray(bitmap.width * bitmap.height)
            bitmap.getPixels(argb, 0, bitmap.width, 0, 0, bitmap.width, bitmap.height)
            return onWhite(argb, bitmap.width, bitmap.height)
        }
    }
}
