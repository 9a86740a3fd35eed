//! An X server of the test's own: nobody sees its screen, the test reads it as a file.

use crate::picture::Picture;
use crate::process::{self, Process};
use app::window::kept::Page;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

/// Room for the window at its first size and for the frame of a window manager.
const SCREEN: &str = "1500x1000x24";

/// What tells a program of the desktop that the test itself runs on.
const DESKTOP: [&str; 7] = [
    "DBUS_SESSION_BUS_ADDRESS",
    "DESKTOP_SESSION",
    "SESSION_MANAGER",
    "WAYLAND_DISPLAY",
    "WAYLAND_SOCKET",
    "XAUTHORITY",
    "XDG_CURRENT_DESKTOP",
];

/// The server, and its window manager if one was started; both end with it.
#[derive(Debug)]
pub struct Display {
    name: String,
    // Before the server, for they are dropped in this order.
    manager: Option<Process>,
    _server: Process,
    frames: TempDir,
}

impl Display {
    /// Starts one; the server itself chooses a number that is free.
    pub fn start() -> Self {
        let frames = TempDir::new().expect("a temporary folder can be made");
        let mut command = Command::new("Xvfb");
        command
            .args(["-displayfd", "1", "-screen", "0", SCREEN])
            .args(["-nolisten", "tcp", "-noreset", "+extension", "GLX"])
            .arg("-fbdir")
            .arg(frames.path());
        let mut server = Process::start(command);
        let number: u32 = server.until("number of the display", |output| {
            output.lines().find_map(|line| line.trim().parse().ok())
        });
        Self {
            name: format!(":{number}"),
            manager: None,
            _server: server,
            frames,
        }
    }

    /// A program on this display, with its home in this folder and nothing of the user's desktop.
    pub fn command(&self, program: &str, home: &Path) -> Command {
        let mut command = Command::new(program);
        for name in DESKTOP {
            command.env_remove(name);
        }
        command
            .current_dir(home)
            .env("DISPLAY", &self.name)
            .env("HOME", home)
            .env("XDG_CACHE_HOME", home.join("cache"))
            .env("XDG_CONFIG_HOME", home.join("config"))
            .env("XDG_DATA_HOME", home.join("data"))
            .env("XDG_RUNTIME_DIR", home)
            .env("XDG_STATE_HOME", home.join("state"))
            .env("LIBGL_ALWAYS_SOFTWARE", "1")
            .env("WINIT_X11_SCALE_FACTOR", "1");
        command
    }

    /// Starts what gives windows the focus and carries the wish to close them.
    pub fn start_window_manager(&mut self, home: &Path) {
        let mut manager = Process::start(self.command("openbox", home));
        manager.until("answer of the window manager", |_| {
            let (well, _) = Process::start(self.xdotool_command("get_num_desktops")).end();
            well.then_some(())
        });
        self.manager = Some(manager);
    }

    /// Runs `xdotool` with these words, to its good end.
    pub fn xdotool(&self, words: &str) -> String {
        process::run(self.xdotool_command(words))
    }

    fn xdotool_command(&self, words: &str) -> Command {
        let mut command = self.command("xdotool", self.frames.path());
        command.args(words.split_whitespace());
        command
    }

    /// Waits until the program has drawn this page on the screen.
    pub fn wait_for_page(&self, program: &mut Process, page: Page) {
        let file = self.frames.path().join("Xvfb_screen0");
        program.until(&format!("{page} page on the screen"), |_| {
            (Picture::of_screen(&file).page() == Some(page)).then_some(())
        });
    }
}
