//! Debian's Kannel between a fake SMSC and the gateway: bearerbox and smsbox, which end with the test, however it ends.

use std::fs;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use spamgate::config::Config;
use spamgate::config::verify::SenderKind;
use tempfile::TempDir;

/// How long Kannel may take to start.
const START_WAIT: Duration = Duration::from_secs(20);
/// How long an SMS may take from the fake SMSC through Kannel to the gateway, and its reply the same way back.
const REPLY_WAIT: Duration = Duration::from_secs(30);
/// How often other ports are drawn when somebody else has taken them in between.
const DRAWS_MAX: usize = 10;
/// Starts a box and waits for the end of its own input, which comes when the test process ends, however it ends.
const SUPERVISE: &str = r#"
"$@" >/dev/null 2>&1 &
cat >/dev/null
kill -KILL $!
wait
"#;
const FAKE_SMSC: &str = "/usr/lib/kannel/test/fakesmsc";
/// Asks the administrator's page which boxes are connected, and has SMS sent.
const PASSWORD: &str = "only-for-this-test";

/// A running Kannel.
pub struct Kannel {
    // In the order in which they end.
    smsbox: Supervised,
    _bearerbox: Supervised,
    smsc_port: u16,
    sendsms_port: u16,
    _directory: TempDir,
}

struct Supervised(Child);

impl Supervised {
    fn start(directory: &Path, program: &str) -> Self {
        let mut command = Command::new("sh");
        command.args(["-c", SUPERVISE, "sh", program]).arg(directory.join("kannel.conf")).current_dir(directory);
        // Out of reach of Ctrl-C: the end of this process is what ends it.
        let child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0).spawn();
        Self(child.unwrap())
    }

    fn runs(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }
}

impl Drop for Supervised {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        self.0.wait().unwrap();
    }
}

impl Kannel {
    /// Starts Kannel with the `sms-service` of the manual, whose `url_setting` (`get-url = "…"`) calls the gateway.
    pub fn start(url_setting: &str) -> Self {
        if let Err(error) = fs::metadata(FAKE_SMSC)
            && error.kind() == ErrorKind::NotFound
        {
            panic!("this test needs a real Kannel: install the Debian packages `kannel` and `kannel-extras`");
        }
        (0..DRAWS_MAX).find_map(|_| Self::try_start(url_setting)).expect("no Kannel came up on any of the ports drawn")
    }

    fn try_start(url_setting: &str) -> Option<Self> {
        let directory = tempfile::Builder::new().prefix("sg-kannel-").tempdir_in("/tmp").unwrap();
        let [admin, boxes, smsc, sendsms] = free_ports();
        fs::write(directory.path().join("kannel.conf"), configuration([admin, boxes, smsc, sendsms], url_setting))
            .unwrap();
        let mut bearerbox = Supervised::start(directory.path(), "/usr/sbin/bearerbox");
        wait_for(|| ask_status(admin).is_some(), || bearerbox.runs())?;
        let smsbox = Supervised::start(directory.path(), "/usr/sbin/smsbox");
        let kannel =
            Self { smsbox, _bearerbox: bearerbox, smsc_port: smsc, sendsms_port: sendsms, _directory: directory };
        wait_for(|| ask_status(admin).is_some_and(|status| status.contains("smsbox:")), || true)?;
        Some(kannel)
    }

    /// Has the gateway under test send its codes by this Kannel.
    pub fn use_for_codes(&self, config: &mut Config) {
        config.verify.sender = SenderKind::Kannel;
        config.verify.kannel_url = format!("http://127.0.0.1:{}/cgi-bin/sendsms", self.sendsms_port);
        config.verify.kannel_user = "spamgate".to_owned();
        config.verify.kannel_password = PASSWORD.to_owned().into();
        config.verify.kannel_from = "156".to_owned();
    }

    /// Gives what is sent to the fake SMSC, as it shows it. It takes nothing before this.
    pub fn receive(&mut self) -> String {
        self.exchange("0", "156 5656 text nothing")
    }

    /// Sends one SMS from the fake SMSC, and gives the reply as the fake SMSC shows it: `5656 0912345678 text …`.
    /// `message` is what the fake SMSC takes: sender, receiver, `text` or `ucs2` or `utf8`, and the text.
    pub fn send(&mut self, message: &str) -> String {
        self.exchange("1", message)
    }

    fn exchange(&mut self, sent_max: &str, message: &str) -> String {
        assert!(self.smsbox.runs());
        let port = self.smsc_port.to_string();
        let mut smsc = Command::new("setpriv")
            .args([
                "--pdeathsig=KILL",
                FAKE_SMSC,
                "-H",
                "127.0.0.1",
                "-r",
                &port,
                "-i",
                "0.01",
                "-m",
                sent_max,
                message,
            ])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(smsc.stderr.take().unwrap()).lines();
        let (sender, reply) = std::sync::mpsc::channel();
        let reader = std::thread::spawn(move || {
            let mut got = lines.map_while(Result::ok).filter_map(|line| {
                let (_, reply) = line.split_once("Got message 1: <")?;
                Some(reply.strip_suffix('>').unwrap_or(reply).to_owned())
            });
            // Nobody listens any more when it took too long.
            let _ = got.next().map(|reply| sender.send(reply));
        });
        let reply = reply.recv_timeout(REPLY_WAIT);
        smsc.kill().unwrap();
        smsc.wait().unwrap();
        reader.join().unwrap();
        reply.expect("the fake SMSC shows a reply")
    }
}

/// What `docs/KANNEL.md` tells an operator to write, but for addresses and the SMSC.
fn configuration([admin, boxes, smsc, sendsms]: [u16; 4], url_setting: &str) -> String {
    format!(
        r#"group = core
admin-port = {admin}
admin-interface = "127.0.0.1"
admin-password = "{PASSWORD}"
smsbox-port = {boxes}
smsbox-interface = "127.0.0.1"
box-allow-ip = "127.0.0.1"
store-type = file
store-location = "kannel.store"

group = smsc
smsc = fake
smsc-id = fake
port = {smsc}
connect-allow-ip = "127.0.0.1"

group = smsbox
bearerbox-host = "127.0.0.1"
sendsms-port = {sendsms}
sendsms-interface = "127.0.0.1"
http-request-retry = 5
http-queue-delay = 1
reply-couldnotfetch = "Chua nhan duoc bao cao cua ban. Vui long gui lai sau."
reply-couldnotrepresent = "Chua nhan duoc bao cao cua ban. Vui long gui lai sau."
reply-requestfailed = "Chua nhan duoc bao cao cua ban. Vui long gui lai sau."

group = sms-service
keyword = default
catch-all = true
max-messages = 1
omit-empty = true
{url_setting}

group = sendsms-user
username = spamgate
password = "{PASSWORD}"
concatenation = true
max-messages = 3
"#
    )
}

/// None when the process ends before that.
fn wait_for(mut holds: impl FnMut() -> bool, mut runs: impl FnMut() -> bool) -> Option<()> {
    let started = Instant::now();
    while !holds() {
        if !runs() || started.elapsed() > START_WAIT {
            return None;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Some(())
}

fn ask_status(port: u16) -> Option<String> {
    let mut stream = TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).ok()?;
    stream.set_read_timeout(Some(START_WAIT)).ok()?;
    let request = format!("GET /status.txt?password={PASSWORD} HTTP/1.0\r\nHost: localhost\r\n\r\n");
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}

fn free_ports() -> [u16; 4] {
    let listeners = [(); 4].map(|()| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().port())
}
