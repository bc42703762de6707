//! A mapper, a clock that only tests move, and gateways that are scripts.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use floe::io::{CloseReason, Transport};
use floe::portmap::{
    Channel, Config, Event, Input, Mapper, Mapping, MappingId, Output, Problem, Protocol, StreamId, Wish,
};

pub(crate) const HOST: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 168, 1, 7));
pub(crate) const GATEWAY: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 168, 1, 1));
pub(crate) const OUTSIDE: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 9);

/// What a gateway answers to a datagram at port 5351 at this second.
pub(crate) type Answers = Box<dyn FnMut(u32, &[u8]) -> Vec<Vec<u8>>>;
/// What it answers to a request of HTTP; `None`: it lets the connection hang.
pub(crate) type Pages = Box<dyn FnMut(&str) -> Option<Vec<u8>>>;

pub(crate) struct Bench {
    pub(crate) mapper: Mapper,
    start: Instant,
    pub(crate) now: Instant,
    pub(crate) answers: Answers,
    pub(crate) pages: Pages,
    /// Who answers searches, and with what.
    pub(crate) ssdp: Vec<(IpAddr, String)>,
    /// Milliseconds since the start, and the datagram to port 5351.
    pub(crate) sent: Vec<(u64, Vec<u8>)>,
    pub(crate) searches: Vec<(u64, SocketAddr)>,
    pub(crate) connects: Vec<SocketAddr>,
    pub(crate) requests: Vec<String>,
    pub(crate) events: Vec<Event>,
    /// Milliseconds of the events.
    pub(crate) times: Vec<u64>,
}

impl Bench {
    pub(crate) fn new(protocols: &[Protocol]) -> Self {
        Self::seeded(protocols, 7)
    }

    pub(crate) fn seeded(protocols: &[Protocol], seed: u32) -> Self {
        let mut bytes = [0; 32];
        bytes[..4].copy_from_slice(&seed.to_be_bytes());
        Self::with(Config::new(HOST, GATEWAY, bytes).protocols(protocols))
    }

    pub(crate) fn with(config: Config) -> Self {
        let now = epoch();
        Self {
            mapper: Mapper::new(config),
            start: now,
            now,
            answers: Box::new(|_, _| Vec::new()),
            pages: Box::new(|_| None),
            ssdp: Vec::new(),
            sent: Vec::new(),
            searches: Vec::new(),
            connects: Vec::new(),
            requests: Vec::new(),
            events: Vec::new(),
            times: Vec::new(),
        }
    }

    pub(crate) fn answering(mut self, answers: impl FnMut(u32, &[u8]) -> Vec<Vec<u8>> + 'static) -> Self {
        self.answers = Box::new(answers);
        self
    }

    pub(crate) fn map(&mut self, port: u16) -> MappingId {
        self.wish(Wish::new(Transport::Udp, port))
    }

    pub(crate) fn wish(&mut self, wish: Wish) -> MappingId {
        let id = self.mapper.map(self.now, wish).unwrap();
        self.drain();
        id
    }

    pub(crate) fn unmap(&mut self, id: MappingId) {
        self.mapper.unmap(self.now, id);
        self.drain();
    }

    pub(crate) fn close(&mut self) {
        self.mapper.close(self.now);
        self.drain();
    }

    pub(crate) fn ms(&self) -> u64 {
        (self.now - self.start).as_millis() as u64
    }

    fn seconds(&self) -> u32 {
        (self.now - self.start).as_secs() as u32
    }

    pub(crate) fn input(&mut self, input: Input<'_>) {
        self.mapper.handle_input(self.now, input);
        self.drain();
    }

    /// A datagram on the control socket.
    pub(crate) fn answer_from(&mut self, source: SocketAddr, payload: &[u8]) {
        self.input(Input::Datagram { channel: Channel::Control, source, payload });
    }

    pub(crate) fn answer(&mut self, payload: &[u8]) {
        self.answer_from(SocketAddr::new(GATEWAY, 5351), payload);
    }

    pub(crate) fn announce(&mut self, source: IpAddr, payload: &[u8]) {
        let source = SocketAddr::new(source, 5351);
        self.input(Input::Datagram { channel: Channel::Announcements, source, payload });
    }

    /// Does what the mapper wants until it waits, and says until when.
    pub(crate) fn drain(&mut self) -> Option<Instant> {
        let mut buf = [0; 1500];
        loop {
            let (ms, seconds) = (self.ms(), self.seconds());
            match self.mapper.poll_output(&mut buf) {
                Output::Transmit { channel: Channel::Control, destination, payload } => {
                    assert_eq!(destination, SocketAddr::new(GATEWAY, 5351));
                    self.sent.push((ms, payload.to_vec()));
                    for answer in (self.answers)(seconds, payload) {
                        self.mapper.handle_input(
                            self.now,
                            Input::Datagram {
                                channel: Channel::Control,
                                source: SocketAddr::new(GATEWAY, 5351),
                                payload: &answer,
                            },
                        );
                    }
                }
                Output::Transmit { destination, .. } => {
                    self.searches.push((ms, destination));
                    for (source, answer) in self.ssdp.clone() {
                        let source = SocketAddr::new(source, 1900);
                        let payload = answer.as_bytes();
                        let input = Input::Datagram { channel: Channel::Search, source, payload };
                        self.mapper.handle_input(self.now, input);
                    }
                }
                Output::Connect { stream, remote } => {
                    self.connects.push(remote);
                    self.mapper.handle_input(self.now, Input::Connected(stream));
                }
                Output::Write { stream, bytes } => {
                    let request = String::from_utf8(bytes.to_vec()).unwrap();
                    self.requests.push(request.clone());
                    if let Some(page) = (self.pages)(&request) {
                        self.send_page(stream, &page);
                    }
                }
                Output::Event(event) => {
                    self.events.push(event);
                    self.times.push(ms);
                }
                Output::Wait(wake) => return wake.map(|wake| wake.at),
                _ => {}
            }
        }
    }

    fn send_page(&mut self, stream: StreamId, page: &[u8]) {
        for piece in page.chunks(1000) {
            self.mapper.handle_input(self.now, Input::Received { stream, bytes: piece });
        }
        self.mapper.handle_input(self.now, Input::Closed { stream, why: CloseReason::Ended });
    }

    /// Lets so much time go by.
    pub(crate) fn run(&mut self, time: Duration) {
        let end = self.now + time;
        let mut rounds = 0;
        while let Some(at) = self.drain().filter(|at| *at <= end) {
            rounds += 1;
            assert!(rounds < 10_000, "a timer spins");
            self.now = self.now.max(at);
            self.mapper.handle_input(self.now, Input::Timeout);
        }
        self.now = end;
    }

    pub(crate) fn run_secs(&mut self, seconds: u64) {
        self.run(Duration::from_secs(seconds));
    }

    /// When something was sent, in milliseconds, and it is forgotten.
    pub(crate) fn take_times(&mut self) -> Vec<u64> {
        self.take_sent().into_iter().map(|(ms, _)| ms).collect()
    }

    pub(crate) fn take_sent(&mut self) -> Vec<(u64, Vec<u8>)> {
        std::mem::take(&mut self.sent)
    }

    pub(crate) fn mapped(&self) -> Vec<Mapping> {
        let mappings = self.events.iter().filter_map(|event| match event {
            Event::Mapped { mapping, .. } => Some(*mapping),
            _ => None,
        });
        mappings.collect()
    }

    pub(crate) fn problems(&self) -> Vec<Problem> {
        let problems = self.events.iter().filter_map(|event| match event {
            Event::Problem { problem, .. } => Some(problem.clone()),
            _ => None,
        });
        problems.collect()
    }

    pub(crate) fn has(&self, event: &Event) -> bool {
        self.events.contains(event)
    }
}

/// The answer of a PCP gateway to a MAP request.
pub(crate) fn pcp_answer(
    request: &[u8],
    result: u8,
    lifetime: u32,
    epoch: u32,
    external: SocketAddr,
) -> Vec<u8> {
    let mut answer = request.to_vec();
    answer[1] |= 0x80;
    answer[3] = result;
    answer[4..8].copy_from_slice(&lifetime.to_be_bytes());
    answer[8..12].copy_from_slice(&epoch.to_be_bytes());
    answer[12..24].fill(0);
    answer[42..44].copy_from_slice(&external.port().to_be_bytes());
    let ip = match external.ip() {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    };
    answer[44..60].copy_from_slice(&ip.octets());
    answer
}

pub(crate) fn outside(port: u16) -> SocketAddr {
    (OUTSIDE, port).into()
}

pub(crate) fn be16(bytes: &[u8]) -> u16 {
    u16::from_be_bytes([bytes[0], bytes[1]])
}

pub(crate) fn be32(bytes: &[u8]) -> u32 {
    u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}

/// A PCP gateway that grants so many seconds at most, and the port that is suggested, else that of inside.
pub(crate) fn pcp_gateway(most: u32) -> impl FnMut(u32, &[u8]) -> Vec<Vec<u8>> {
    move |seconds, request| {
        if request[0] != 2 {
            return vec![vec![2, 0x80 | request[1], 0, 1, 0, 0, 0, 0]];
        }
        let (asked, suggested) = (be32(&request[4..8]), be16(&request[42..44]));
        let port = if suggested == 0 { be16(&request[40..42]) } else { suggested };
        vec![pcp_answer(request, 0, asked.min(most), 1000 + seconds, outside(port))]
    }
}

/// A gateway that knows NAT-PMP only.
pub(crate) fn nat_pmp_gateway(most: u32) -> impl FnMut(u32, &[u8]) -> Vec<Vec<u8>> {
    move |seconds, request| {
        let epoch = (1000 + seconds).to_be_bytes();
        match request[..2] {
            [0, 0] => vec![[&[0, 128, 0, 0][..], &epoch, &OUTSIDE.octets()].concat()],
            [0, opcode @ (1 | 2)] => {
                let lifetime = be32(&request[8..12]).min(most).to_be_bytes();
                let port = if request[6..8] == [0, 0] { &request[4..6] } else { &request[6..8] };
                vec![[&[0, 128 + opcode, 0, 0][..], &epoch, &request[4..6], port, &lifetime].concat()]
            }
            _ => vec![[&[0, 0, 0, 1][..], &epoch].concat()],
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "an Instant has no other constructor; only differences are used"
)]
fn epoch() -> Instant {
    Instant::now()
}
