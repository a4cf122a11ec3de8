// The model as iOS sees it: pictures and resources on this side, Preprocess.swift and TensorFlow Lite on the other. It
// was never compiled by its makers: run the self-check.

import CoreGraphics
import Foundation
import ImageIO
import TensorFlowLite

struct ClassifierProblem: Error, CustomStringConvertible {
    let description: String
}

/// One golden vector: were the pixels equal, how far were the scores off, is the class the same?
struct Check {
    let image: String
    let exact: Bool
    let difference: Float
    let sameClass: Bool
    let passed: Bool
}

/// Open it once, off the main thread; one thread at a time may use it. `folder` is the bundle's folder `Resources`.
final class Classifier {
    let labels: [String]
    private let folder: URL
    private let interpreter: Interpreter

    init(folder: URL, threads: Int = 1) throws {
        self.folder = folder
        var text = try String(contentsOf: folder.appendingPathComponent("labels.txt"), encoding: .utf8)
        if text.hasSuffix("\n") { text.removeLast() }
        labels = text.components(separatedBy: "\n")
        var options = Interpreter.Options()
        options.threadCount = threads
        interpreter = try Interpreter(modelPath: folder.appendingPathComponent(Model.file).path, options: options)
        try interpreter.allocateTensors()
    }

    /// The best classes, best first. `orientation`: EXIF's, of the picture.
    func classify(_ image: CGImage, orientation: Int = 1, count: Int = 5) throws -> [(label: String, score: Float)] {
        let found = try scores(Model.preprocess.resized(upright(try rgb(of: image), orientation)))
        let order = found.indices.sorted { found[$0] > found[$1] }
        return order.prefix(count).map { (labels[$0], found[$0]) }
    }

    /// Pixels that `Model.preprocess.resized` made -> one score a class.
    func scores(_ pixels: [UInt8]) throws -> [Float] {
        try interpreter.copy(encoded(pixels), toInputAt: 0)
        try interpreter.invoke()
        let held = try interpreter.output(at: 0).data
        guard let scale = Model.outputScale else {
            return held.withUnsafeBytes { Array($0.bindMemory(to: Float.self)) }
        }
        return held.map { byte in
            let code = Model.outputSigned ? Int(Int8(bitPattern: byte)) : Int(byte)
            return Float(code - Model.outputZeroPoint) * Float(scale)
        }
    }

    /// Runs the golden vectors that came with the model; empty where it came without. Call it in a test.
    func selfCheck() throws -> [Check] {
        return try Model.goldenCrc32.enumerated().map { number, crc in
            let name = "golden/\(number).png"
            let pixels = Model.preprocess.resized(try rgb(of: try decode(name)))
            let text = try String(contentsOf: folder.appendingPathComponent("golden/\(number).txt"), encoding: .utf8)
            let wanted = text.split(separator: "\n").compactMap { Float($0) }
            return check(name, crc32(pixels) == crc, try scores(pixels), wanted)
        }
    }

    private func check(_ image: String, _ exact: Bool, _ found: [Float], _ wanted: [Float]) -> Check {
        guard found.count == wanted.count, let most = wanted.max(), let best = found.indices.max(by: { found[$0] < found[$1] })
        else { return Check(image: image, exact: exact, difference: .infinity, sameClass: false, passed: false) }
        var difference: Float = 0
        for (ours, theirs) in zip(found, wanted) {
            let apart = abs(ours - theirs)
            difference = apart.isNaN ? .infinity : max(difference, apart)
        }
        let same = wanted[best] >= most - Model.tolerance  // closer ones may change places
        let passed = exact && same && difference <= Model.tolerance
        return Check(image: image, exact: exact, difference: difference, sameClass: same, passed: passed)
    }

    private func encoded(_ pixels: [UInt8]) -> Data {
        guard let scale = Model.inputScale else {
            return Model.preprocess.normalized(pixels).withUnsafeBytes { Data($0) }
        }
        let lowest = Model.inputSigned ? -128 : 0
        return Data(Model.preprocess.quantized(pixels, scale: scale, zeroPoint: Model.inputZeroPoint, lowest: lowest))
    }

    private func decode(_ name: String) throws -> CGImage {
        let url = folder.appendingPathComponent(name)
        guard let source = CGImageSourceCreateWithURL(url as CFURL, nil),
            let image = CGImageSourceCreateImageAtIndex(source, 0, nil)
        else { throw ClassifierProblem(description: "\(name) cannot be read as a picture") }
        return image
    }

    /// Drawn on white in the picture's own RGB space, so that no colour is converted.
    private func rgb(of image: CGImage) throws -> Rgb {
        let width = image.width
        let height = image.height
        let own = image.colorSpace.flatMap { $0.model == .rgb ? $0 : nil } ?? CGColorSpaceCreateDeviceRGB()
        var rgba = [UInt8](repeating: 255, count: width * height * 4)
        let drawn = rgba.withUnsafeMutableBytes { memory -> Bool in
            guard
                let context = CGContext(
                    data: memory.baseAddress, width: width, height: height, bitsPerComponent: 8, bytesPerRow: width * 4,
                    space: own, bitmapInfo: CGImageAlphaInfo.noneSkipLast.rawValue)
            else { return false }
            context.interpolationQuality = .none
            context.draw(image, in: CGRect(x: 0, y: 0, width: width, height: height))
            return true
        }
        if !drawn { throw ClassifierProblem(description: "the picture cannot be drawn in RGB") }
        for at in 0..<(width * height) { rgba[at * 4 + 3] = 255 }
        return onWhite(rgba, width, height)
    }
}

private func crc32(_ bytes: [UInt8]) -> UInt32 {
    var crc: UInt32 = 0xffff_ffff
    for byte in bytes {
        crc ^= UInt32(byte)
        for _ in 0..<8 { crc = (crc >> 1) ^ ((crc & 1) == 1 ? 0xedb8_8320 : 0) }
    }
    return ~crc
}
