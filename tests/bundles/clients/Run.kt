// java RunKt CASES OUT ASSETS: see ../cases.py; then the self-check of a bundle's pixels, with the scores that it should
// find, and the eight orientations of a picture.
import edgekit.Model
import edgekit.Preprocess
import edgekit.Rgb
import edgekit.SelfCheck
import edgekit.check
import edgekit.onWhite
import edgekit.scoresOf
import edgekit.upright
import java.io.ByteArrayOutputStream
import java.io.File
import java.nio.ByteBuffer
import java.nio.ByteOrder
import javax.imageio.ImageIO

val FILTERS = listOf("nearest", "bilinear", "bicubic", "area")

fun main(given: Array<String>) {
    val held = ByteBuffer.wrap(File(given[0]).readBytes()).order(ByteOrder.LITTLE_ENDIAN)
    val out = ByteArrayOutputStream()
    while (held.hasRemaining()) one(held, out)
    File(given[1]).writeBytes(out.toByteArray())

    val assets = File(given[2])
    println(SelfCheck(Model.GOLDEN_CRC32.mapIndexed { number, crc32 ->
        val name = "golden/$number.png"
        val scores = scoresOf(assets.resolve("golden/$number.txt").readText())
        check(name, Model.preprocess.resized(decoded(assets.resolve(name))), crc32, scores, scores, Model.TOLERANCE)
    }))
    println(SelfCheck(emptyList()))
    println(Model.NAME)

    val picture = Rgb(ByteArray(2 * 3 * 3) { it.toByte() }, 2, 3)
    for (orientation in 1..8) println(upright(picture, orientation).run { "$width $height ${pixels.joinToString(" ")}" })
}

private fun one(held: ByteBuffer, out: ByteArrayOutputStream) {
    val head = IntArray(10) { held.int }
    val scale = held.double
    val mean = FloatArray(3) { held.float }
    val std = FloatArray(3) { held.float }
    val (width, height) = head
    val argb = IntArray(width * height) {
        val (red, green, blue) = List(3) { held.get().toInt() and 255 }
        ((held.get().toInt() and 255) shl 24) or (red shl 16) or (green shl 8) or blue
    }
    val wanted = Preprocess(head[2], head[3], head[4] != 0, FILTERS[head[5]], head[6] != 0, head[7] != 0, mean, std)
    val rgb = onWhite(argb, width, height)
    val pixels = wanted.resized(rgb)
    val real = wanted.normalized(pixels)
    val floats = ByteBuffer.allocate(real.size * 4).order(ByteOrder.LITTLE_ENDIAN)
    real.forEach { floats.putFloat(it) }
    for (part in listOf(rgb.pixels, pixels, floats.array(), wanted.quantized(pixels, scale, head[8], head[9]))) out.write(part)
}

private fun decoded(file: File): Rgb {
    val image = ImageIO.read(file)
    return onWhite(image.getRGB(0, 0, image.width, image.height, null, 0, image.width), image.width, image.height)
}
