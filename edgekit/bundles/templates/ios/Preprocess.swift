// What has to be done to a picture before the model sees it, to the bit what edgekit does in Python: a transcription of
// the Kotlin file of the Android bundle, line by line. It was never compiled by its makers: run the self-check.
//
// Resizing with antialiasing is Pillow's algorithm: one pass a direction, horizontal first, weights in fixed point with
// 22 bits behind the point, a rounded 8-bit image between the two passes. Without antialiasing a pixel is the weighted
// sum of 2x2 (bilinear) or 4x4 (bicubic) source pixels around the half-pixel centre, in float32.

import Foundation

/// 8-bit RGB, row by row.
struct Rgb {
    var pixels: [UInt8]
    var width: Int
    var height: Int
}

struct Preprocess {
    let width: Int
    let height: Int
    let bgr: Bool
    let resize: String  // nearest, bilinear, bicubic or area
    let antialias: Bool
    let centerCrop: Bool
    let mean: [Float]  // three values each on the 0..255 scale, in the order of the channels
    let std: [Float]

    /// RGB of any size -> RGB or BGR, as the model wants it, of the model's size.
    func resized(_ picture: Rgb) -> [UInt8] {
        var image = centerCrop ? centerSquare(picture) : picture
        if image.width != width || image.height != height {
            if resize == "nearest" {
                image = nearest(image, width, height)
            } else if antialias || resize == "area" {
                image = convolved(image, width, height, filterNamed(resize))
            } else {
                image = pointSampled(image, width, height, resize == "bicubic")
            }
        }
        return bgr ? swapped(image.pixels) : image.pixels
    }

    /// Resized pixels -> what a float32 input holds.
    func normalized(_ pixels: [UInt8]) -> [Float] {
        return pixels.indices.map { at in (Float(pixels[at]) - mean[at % 3]) / std[at % 3] }
    }

    /// Resized pixels -> what an integer input holds; `lowest` is 0 for uint8 and -128 for int8.
    func quantized(_ pixels: [UInt8], scale: Double, zeroPoint: Int, lowest: Int) -> [UInt8] {
        return normalized(pixels).map { real in
            let code = (Double(real) / scale).rounded(.toNearestOrEven) + Double(zeroPoint)
            let held = Int(min(max(code, Double(lowest)), Double(lowest + 255)))
            return UInt8(truncatingIfNeeded: held)
        }
    }
}

/// RGBA, alpha not multiplied in -> RGB, laid on white.
func onWhite(_ rgba: [UInt8], _ width: Int, _ height: Int) -> Rgb {
    var rgb = [UInt8](repeating: 0, count: width * height * 3)
    for at in 0..<(width * height) {
        let alpha = Int(rgba[at * 4 + 3])
        for channel in 0..<3 {
            let sum = Int(rgba[at * 4 + channel]) * alpha + 255 * (255 - alpha) + 128
            rgb[at * 3 + channel] = UInt8(((sum >> 8) + sum) >> 8)  // sum / 255, rounded
        }
    }
    return Rgb(pixels: rgb, width: width, height: height)
}

/// Turns a picture upright. `orientation` is EXIF's, 1 to 8 (CGImagePropertyOrientation's rawValue).
func upright(_ picture: Rgb, _ orientation: Int) -> Rgb {
    if orientation < 2 || orientation > 8 { return picture }
    let w = picture.width
    let h = picture.height
    let turned = orientation >= 5
    let newWidth = turned ? h : w
    let newHeight = turned ? w : h
    var result = [UInt8](repeating: 0, count: picture.pixels.count)
    for y in 0..<newHeight {
        for x in 0..<newWidth {
            let fromX: Int
            switch orientation {
            case 2, 3: fromX = w - 1 - x
            case 5, 6: fromX = y
            case 7, 8: fromX = w - 1 - y
            default: fromX = x
            }
            let fromY: Int
            switch orientation {
            case 3, 4: fromY = h - 1 - y
            case 5, 8: fromY = x
            case 6, 7: fromY = h - 1 - x
            default: fromY = y
            }
            for channel in 0..<3 {
                result[(y * newWidth + x) * 3 + channel] = picture.pixels[(fromY * w + fromX) * 3 + channel]
            }
        }
    }
    return Rgb(pixels: result, width: newWidth, height: newHeight)
}

private let precision: Int32 = 22  // bits behind the point: 8 bits of pixel and the sign of a sum leave them in 32
private let half: Int32 = 1 << 21

/// Reach in source pixels, and weight by signed distance. The order of the operations decides the last bit.
private struct Filter {
    let reach: Double
    let weight: (Double) -> Double
}

private func filterNamed(_ name: String) -> Filter {
    switch name {
    case "area":
        return Filter(reach: 0.5, weight: { x in x > -0.5 && x <= 0.5 ? 1.0 : 0.0 })
    case "bilinear":
        return Filter(reach: 1.0, weight: { x in max(1.0 - abs(x), 0.0) })
    case "bicubic":
        return Filter(
            reach: 2.0,
            weight: { x in
                let d = abs(x)
                if d < 1.0 { return (1.5 * d - 2.5) * d * d + 1.0 }
                return d < 2.0 ? (((d - 5.0) * d + 8.0) * d - 4.0) * -0.5 : 0.0
            })
    default:
        fatalError("unknown resize filter \(name)")
    }
}

private func centerSquare(_ image: Rgb) -> Rgb {
    let side = min(image.width, image.height)
    let left = (image.width - side) / 2
    let top = (image.height - side) / 2
    var square = [UInt8]()
    square.reserveCapacity(side * side * 3)
    for y in 0..<side {
        let from = ((top + y) * image.width + left) * 3
        square.append(contentsOf: image.pixels[from..<(from + side * 3)])
    }
    return Rgb(pixels: square, width: side, height: side)
}

private func swapped(_ rgb: [UInt8]) -> [UInt8] {
    return rgb.indices.map { at in rgb[at + 2 - 2 * (at % 3)] }
}

private func nearest(_ image: Rgb, _ newWidth: Int, _ newHeight: Int) -> Rgb {
    let columns = nearestPositions(image.width, newWidth)
    let rows = nearestPositions(image.height, newHeight)
    var result = [UInt8]()
    result.reserveCapacity(newWidth * newHeight * 3)
    for row in rows {
        for column in columns {
            let from = (row * image.width + column) * 3
            result.append(contentsOf: image.pixels[from..<(from + 3)])
        }
    }
    return Rgb(pixels: result, width: newWidth, height: newHeight)
}

private func nearestPositions(_ size: Int, _ newSize: Int) -> [Int] {
    let step = Double(size) / Double(newSize)
    var position = step * 0.5
    var positions = [Int]()
    for _ in 0..<newSize {
        positions.append(Int(position))
        position += step  // added up, as Pillow does
    }
    return positions
}

private func convolved(_ image: Rgb, _ newWidth: Int, _ newHeight: Int, _ filter: Filter) -> Rgb {
    let wide = image.width == newWidth ? image : alongRows(image, weights(image.width, newWidth, filter))
    return wide.height == newHeight ? wide : alongColumns(wide, weights(wide.height, newHeight, filter))
}

/// Of a new pixel: the first source pixel, and the weights of those from there on.
private struct Taps {
    let first: Int
    let weights: [Int32]
}

private func weights(_ size: Int, _ newSize: Int, _ filter: Filter) -> [Taps] {
    let scale = Double(size) / Double(newSize)
    let stretch = max(scale, 1.0)
    let support = filter.reach * stretch
    let shrink = 1.0 / stretch
    return (0..<newSize).map { at in
        let center = (Double(at) + 0.5) * scale
        let first = max(Int(center - support + 0.5), 0)
        let last = min(Int(center + support + 0.5), size)
        let real = (0..<(last - first)).map { tap in filter.weight((Double(tap + first) - center + 0.5) * shrink) }
        var total = 0.0
        for weight in real { total += weight }
        return Taps(first: first, weights: real.map { weight in fixed(total != 0.0 ? weight / total : weight) })
    }
}

private func fixed(_ value: Double) -> Int32 {
    let scaled = value * 4194304.0  // 1 << 22
    return Int32(scaled + (value < 0.0 ? -0.5 : 0.5))
}

private func toByte(_ sum: Int32) -> UInt8 {
    return UInt8(min(max(sum >> precision, 0), 255))
}

private func alongRows(_ image: Rgb, _ table: [Taps]) -> Rgb {
    var result = [UInt8](repeating: 0, count: table.count * image.height * 3)
    var to = 0
    for y in 0..<image.height {
        for taps in table {
            for channel in 0..<3 {
                var sum = half
                var from = (y * image.width + taps.first) * 3 + channel
                for weight in taps.weights {
                    sum += Int32(image.pixels[from]) * weight
                    from += 3
                }
                result[to] = toByte(sum)
                to += 1
            }
        }
    }
    return Rgb(pixels: result, width: table.count, height: image.height)
}

private func alongColumns(_ image: Rgb, _ table: [Taps]) -> Rgb {
    let stride = image.width * 3
    var result = [UInt8](repeating: 0, count: table.count * stride)
    var to = 0
    for taps in table {
        for x in 0..<stride {
            var sum = half
            var from = taps.first * stride + x
            for weight in taps.weights {
                sum += Int32(image.pixels[from]) * weight
                from += stride
            }
            result[to] = toByte(sum)
            to += 1
        }
    }
    return Rgb(pixels: result, width: image.width, height: table.count)
}

/// Of a new pixel: source pixels (none outside the picture has a weight) and their weights.
private struct Points {
    let at: [Int]
    let weights: [Float]
}

private func points(_ size: Int, _ newSize: Int, _ cubic: Bool) -> [Points] {
    let count = cubic ? 4 : 2
    return (0..<newSize).map { at in
        let center = (Double(at) + 0.5) * (Double(size) / Double(newSize)) - 0.5
        let places = (0..<count).map { tap in Int(center.rounded(.down)) + 1 - count / 2 + tap }
        let real: [Double] = places.map { place in
            let distance = abs(center - Double(place))
            if place < 0 || place >= size { return 0.0 }
            return cubic ? keys(distance) : max(1.0 - distance, 0.0)
        }
        var total = 0.0
        for weight in real { total += weight }
        return Points(
            at: places.map { place in min(max(place, 0), size - 1) },
            weights: real.map { weight in Float(weight / total) })
    }
}

/// Keys' cubic convolution, a = -0.5.
private func keys(_ d: Double) -> Double {
    if d < 1.0 { return (1.5 * d - 2.5) * d * d + 1.0 }
    return d < 2.0 ? ((-0.5 * d + 2.5) * d - 4.0) * d + 2.0 : 0.0
}

private func pointSampled(_ image: Rgb, _ newWidth: Int, _ newHeight: Int, _ cubic: Bool) -> Rgb {
    let columns = points(image.width, newWidth, cubic)
    let rows = points(image.height, newHeight, cubic)
    var result = [UInt8](repeating: 0, count: newWidth * newHeight * 3)
    var to = 0
    for row in rows {
        for column in columns {
            for channel in 0..<3 {
                var sum: Float = 0.0
                for across in column.at.indices {
                    var line: Float = 0.0
                    for down in row.at.indices {
                        let from = (row.at[down] * image.width + column.at[across]) * 3 + channel
                        line += Float(image.pixels[from]) * row.weights[down]
                    }
                    sum += line * column.weights[across]
                }
                result[to] = UInt8(min(max((sum + 0.5).rounded(.down), 0.0), 255.0))
                to += 1
            }
        }
    }
    return Rgb(pixels: result, width: newWidth, height: newHeight)
}
