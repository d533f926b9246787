#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| althing_fuzz::targets::utp_connection::run(data));
