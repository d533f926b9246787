//! The machine a figure was measured on.

use std::process::Command;

/// One line: processor, cores, memory, kernel, day.
pub(crate) fn line() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let model = field(&read("/proc/cpuinfo"), "model name").unwrap_or_else(|| "unknown".to_owned());
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let memory = field(&read("/proc/meminfo"), "MemTotal")
        .and_then(|kib| kib.strip_suffix(" kB").and_then(|kib| kib.parse::<u64>().ok()))
        .map_or(0, |kib| kib.div_ceil(1 << 20));
    let kernel = read("/proc/sys/kernel/osrelease").trim().to_owned();
    let sha = if read("/proc/cpuinfo").contains(" sha_ni") { " with SHA-NI" } else { "" };
    format!(
        "{model}{sha}, {cores} cores, {memory} GiB of memory, Linux {kernel}, {}",
        today().unwrap_or_default()
    )
}

fn field(text: &str, name: &str) -> Option<String> {
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn today() -> Option<String> {
    let output = Command::new("date").args(["-u", "+%Y-%m-%d"]).output().ok()?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found() {
        let text = "processor\t: 0\nmodel name\t: A: B\nmodel name\t: C\n";
        assert_eq!(field(text, "model name").as_deref(), Some("A: B"));
        assert_eq!(field(text, "flags"), None);
    }
}
