package edgekit

import java.util.zip.CRC32
import kotlin.math.abs

/** One golden vector: were the pixels equal, how far were the scores off, is the class the same? No Android here. */
class Check(val image: String, val exact: Boolean, val difference: Float, val sameClass: Boolean, val passed: Boolean)

/** Does the model say here what it said where it was made? `passed` is false where there was nothing to check. */
class SelfCheck(val checks: List<Check>) {
    val passed: Boolean get() = checks.isNotEmpty() && checks.all { it.passed }

    override fun toString(): String {
        val lines = checks.map {
            "${it.image}: pixels ${if (it.exact) "equal" else "DIFFERENT"}, scores within ${it.difference}, " +
                "${if (it.sameClass) "same" else "ANOTHER"} class: ${if (it.passed) "passed" else "FAILED"}"
        }
        val said = if (checks.isEmpty()) "NOT CHECKED, the model came without golden vectors" else if (passed) "passed" else "FAILED"
        return (lines + "self-check: $said").joinToString("\n")
    }
}

/** What `Check` needs of one golden vector. `wanted`: the scores it should give; `crc32`: of the resized pixels. */
fun check(image: String, pixels: ByteArray, crc32: Long, scores: FloatArray, wanted: FloatArray, tolerance: Float): Check {
    val exact = CRC32().apply { update(pixels, 0, pixels.size) }.value == crc32
    val fits = scores.size == wanted.size
    var difference = if (fits) 0f else Float.POSITIVE_INFINITY
    if (fits) for (at in wanted.indices) {
        val apart = abs(scores[at] - wanted[at])
        difference = if (apart.isNaN()) Float.POSITIVE_INFINITY else maxOf(difference, apart)
    }
    // Classes closer together than the tolerance may change places.
    val sameClass = fits && wanted[best(scores)] >= wanted[best(wanted)] - tolerance
    return Check(image, exact, difference, sameClass, exact && sameClass && difference <= tolerance)
}

/** A number a line, as golden/N.txt has them. */
fun scoresOf(text: String): FloatArray =
    text.lines().filter { it.isNotBlank() }.map { it.trim().toFloat() }.toFloatArray()

private fun best(scores: FloatArray): Int {
    var best = 0
    for (at in scores.indices) if (scores[at] > scores[best]) best = at
    return best
}
