//! The `varsel` binary as a process beside the test's broker: started, asked, killed. What it says goes to
//! a file in the bank's folder.

use super::*;
use std::fs::File;
use std::process::{Child, Command, Stdio};

/// A running `varsel run`; killed when dropped.
pub struct Process {
    child: Child,
    said: PathBuf,
}

impl Process {
    /// Starts it against a bank's broker; `more` is added to its configuration.
    pub fn start(bank: &Bank, name: &str, more: &str, env: &[(&str, &str)]) -> Self {
        Self::start_by(&[env!("CARGO_BIN_EXE_varsel")], bank, name, more, env)
    }

    /// So, by another command that has the binary's path in it.
    pub fn start_by(
        command: &[&str],
        bank: &Bank,
        name: &str,
        more: &str,
        env: &[(&str, &str)],
    ) -> Self {
        let dir = bank.dir.path();
        let kafka = &bank.config.kafka.bootstrap;
        let partitions = bank.config.topics.partitions;
        let text = format!(
            "[kafka]\nbootstrap = \"{kafka}\"\n[topics]\npartitions = {partitions}\n[http]\nlisten = \"127.0.0.1:0\"\n{more}"
        );
        let config = dir.join(format!("{name}.toml"));
        fs::write(&config, text).unwrap();
        let said = dir.join(format!("{name}.said"));
        let file = File::create(&said).unwrap();
        let child = Command::new(command[0])
            .args(&command[1..])
            .args(["run", "--config", config.to_str().unwrap()])
            .envs(env.iter().copied())
            .current_dir(dir)
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .spawn()
            .unwrap();
        Self { child, said }
    }

    /// By which the system knows it.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// All that it has said so far.
    pub fn said(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.said).unwrap()).into_owned()
    }

    /// Where it answers.
    pub fn address(&mut self) -> SocketAddr {
        let watch = Stopwatch::start();
        loop {
            let said = self.said();
            let line = said.lines().find(|line| line.contains("serving /livez"));
            let port = line.and_then(|line| {
                let tail = line.split("127.0.0.1:").nth(1)?;
                tail.split(|c: char| !c.is_ascii_digit())
                    .next()?
                    .parse()
                    .ok()
            });
            if let Some(port) = port {
                return SocketAddr::from(([127, 0, 0, 1], port));
            }
            assert!(self.child.try_wait().unwrap().is_none(), "it ended: {said}");
            assert!(watch.elapsed() < PATIENCE, "nothing is served: {said}");
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }

    /// It has not ended by itself.
    pub fn lives(&mut self) {
        let ended = self.child.try_wait().unwrap();
        assert!(ended.is_none(), "it ended by itself");
    }

    /// Has it drain and end in order.
    pub fn end(&mut self) {
        let pid = self.child.id().to_string();
        let told = Command::new("kill").args(["-TERM", &pid]).status().unwrap();
        assert!(told.success());
        assert!(self.child.wait().unwrap().success(), "{}", self.said());
    }

    /// Kills it at once.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let watch = Stopwatch::start();
        // One that ends by itself says why at last.
        while std::thread::panicking()
            && watch.elapsed() < Duration::from_secs(5)
            && matches!(self.child.try_wait(), Ok(None))
        {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let said = self.said();
            let lines: Vec<&str> = said.lines().collect();
            let last = &lines[lines.len().saturating_sub(12)..];
            let _ = writeln!(std::io::stderr(), "what it said last:\n{}", last.join("\n"));
        }
    }
}
