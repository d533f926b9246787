#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| althing_fuzz::targets::overlay_words::run(data));
