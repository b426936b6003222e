//! A camera like an ESP32-CAM with the CameraWebServer of arduino-esp32.
