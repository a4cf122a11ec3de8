// To be merged into the module's build.gradle.kts.
android {
    defaultConfig { minSdk = 28 }
    androidResources { noCompress += "tflite" } // the model is mapped into memory, not unpacked
}

dependencies {
    implementation("com.google.ai.edge.litert:litert:2.3.0")
}
