use super::*;

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut message = vec![kind];
    message.extend_from_slice(&((body.len() + 4) as u32).to_be_bytes());
    message.extend_from_slice(body);
    message
}

/// Plays a conversation written as words: `>Q` is a message from the client, `<Z:I` one from the server with body `I`.
fn play(talk: &mut Conversation, script: &str) {
    for word in script.split_whitespace() {
        let (side, rest) = word.split_at(1);
        let body = rest.split_once(':').map_or("", |(_, body)| body);
        let bytes = message(rest.as_bytes()[0], body.as_bytes());
        match side {
            ">" => talk.client_sent(&bytes),
            "<" => drop(talk.server_sent(&bytes)),
            _ => panic!("no side in {word}"),
        }
    }
}

fn logged_in() -> Conversation {
    let mut talk = Conversation::default();
    play(&mut talk, "<R >p <R <S <K:pid1key1");
    assert!(!talk.is_idle(), "not idle before the login is complete");
    play(&mut talk, "<Z:I");
    assert!(talk.is_idle());
    talk
}

/// Plays each part, and expects to be idle after the last one only.
fn idle_only_after(parts: &[&str]) {
    let mut talk = logged_in();
    for (at, part) in parts.iter().enumerate() {
        play(&mut talk, part);
        assert_eq!(talk.is_idle(), at + 1 == parts.len(), "after {part:?} in {parts:?}");
    }
}

#[test]
fn a_simple_query_is_in_flight_until_it_is_answered() {
    idle_only_after(&[">Q", "<T <D <C", "<Z:I"]);
}

#[test]
fn a_transaction_is_not_idle_even_when_it_failed() {
    idle_only_after(&[">Q", "<C <Z:T", ">Q", "<E <Z:E", ">Q <C <Z:I"]);
}

#[test]
fn extended_messages_are_in_flight_before_their_sync() {
    idle_only_after(&[">P", ">B >E >H", "<1 <2 <C", ">S", "<Z:I"]);
}

#[test]
fn each_request_of_a_pipeline_is_owed_an_answer() {
    idle_only_after(&[">Q >P >B >E >S >S", "<C <Z:I", "<1 <2 <C <Z:I", "<Z:I"]);
}

#[test]
fn copy_in_by_a_simple_query() {
    idle_only_after(&[">Q", "<G", ">d >d", ">c", "<C", "<Z:I"]);
    idle_only_after(&[">Q", "<G", ">d >f", "<E", "<Z:I"]);
    idle_only_after(&[">Q", "<G", ">d", "<E", "<Z:I"]);
}

#[test]
fn a_sync_during_copy_in_is_not_owed_an_answer() {
    idle_only_after(&[">P >B >E >S", "<1 <2 <G", ">d", ">c", ">S", "<C <Z:I"]);
    idle_only_after(&[">P >B >E >H", "<1 <2 <G", ">S >d", ">c >S", "<C <Z:I"]);
    idle_only_after(&[">Q", "<G >S >S >c", "<C <Z:I"]);
}

#[test]
fn copy_in_sent_ahead_of_the_servers_word() {
    idle_only_after(&[">P >B >E >d >c >S", "<1 <2 <G", "<C", "<Z:I"]);
    idle_only_after(&[">P >B >E >S >d >c >S", "<1 <2 <G", "<C <Z:I"]);
    idle_only_after(&[">P >B >E >d >c", "<1 <2 <G", "<C", ">S", "<Z:I"]);
    idle_only_after(&[">Q >c >Q", "<G", "<C <Z:I", "<C <Z:I"]);
}

#[test]
fn copy_in_that_fails_before_the_client_ends_it() {
    idle_only_after(&[">P >B >E >S", "<1 <2 <G", ">d <E", ">c", ">S", "<Z:I"]);
}

#[test]
fn replication_is_busy_until_both_sides_ended_it() {
    idle_only_after(&[">Q", "<W", "<d >d <d", ">c", "<c <C", "<Z:I"]);
}

#[test]
fn stray_copy_ends_leave_an_idle_connection_idle() {
    let mut talk = logged_in();
    play(&mut talk, ">c >c >f >c >d");
    assert!(talk.is_idle());
    play(&mut talk, ">Q <E <Z:I >c >c");
    assert!(talk.is_idle());
}

#[test]
fn notices_parameters_and_notifications_leave_it_idle() {
    let mut talk = logged_in();
    play(&mut talk, "<N <S <A");
    assert!(talk.is_idle());
}

#[test]
fn a_client_that_said_goodbye_is_not_idle() {
    let mut talk = logged_in();
    play(&mut talk, ">X");
    assert!(!talk.is_idle());
    assert!(talk.end_is_explained());
}

#[test]
fn half_a_message_is_in_flight() {
    let mut talk = logged_in();
    talk.client_sent(b"Q");
    assert!(!talk.is_idle());
    let mut talk = logged_in();
    assert_eq!(talk.server_sent(b"N\0\0"), Some(0));
    assert!(!talk.is_idle());
    assert_eq!(talk.server_sent(b"\0\x05x"), Some(3));
    assert!(talk.is_idle());
}

#[test]
fn an_invalid_length_loses_the_boundaries_for_good() {
    for length in [0, 3, u32::MAX, 1 << 31] {
        let mut talk = logged_in();
        let header = [&b"D"[..], &u32::to_be_bytes(length)].concat();
        assert_eq!(talk.server_sent(&header), None);
        assert_eq!(talk.server_sent(&message(b'Z', b"I")), None);
        assert!(talk.server_is_lost() && !talk.server_at_boundary() && !talk.is_idle());
    }
}

#[test]
fn a_gigabyte_message_is_followed_in_constant_memory() {
    let mut talk = logged_in();
    let size: u32 = 1 << 30;
    talk.server_sent(&[&b"D"[..], &(size + 4).to_be_bytes()].concat());
    let chunk = vec![b'Z'; 1 << 20];
    for _ in 0..1023 {
        assert_eq!(talk.server_sent(&chunk), None);
    }
    assert_eq!(talk.server_sent(&chunk), Some(chunk.len()));
    assert!(talk.is_idle());
}

#[test]
fn the_cancel_key_may_have_up_to_256_bytes_of_secret() {
    for length in [8, 36, 260] {
        let mut talk = Conversation::default();
        let key: Vec<u8> = (0..length).map(|byte| byte as u8).collect();
        talk.server_sent(&message(b'K', &key));
        assert_eq!(talk.take_key(), Some(key));
        assert_eq!(talk.take_key(), None);
    }
    let mut talk = Conversation::default();
    talk.server_sent(&message(b'K', &[0; 261]));
    assert_eq!(talk.take_key(), None);
    assert!(talk.server_at_boundary());
}

#[test]
fn an_endless_odd_pipeline_is_given_up_and_stays_busy() {
    let mut talk = logged_in();
    for _ in 0..100_000 {
        play(&mut talk, ">Q >S");
    }
    play(&mut talk, "<Z:I");
    assert!(!talk.is_idle());
}

/// A small generator (splitmix64) so that a seed is all it takes to repeat a run.
struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }
}

/// Records what a framer tells.
#[derive(Default, Debug, PartialEq)]
struct Heard {
    headers: Vec<(u8, u32)>,
    bodies: Vec<(u8, Vec<u8>)>,
}

impl Sink for Heard {
    fn header(&mut self, kind: u8, size: u32) -> bool {
        self.headers.push((kind, size));
        kind == b'Z' || kind == b'K'
    }

    fn body(&mut self, kind: u8, body: &[u8]) {
        self.bodies.push((kind, body.to_vec()));
    }
}

/// Run again with `OFFSHOOT_TEST_SEED=<seed>`.
#[test]
fn any_chunking_tells_the_same_messages_and_boundaries() {
    let seed = std::env::var("OFFSHOOT_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos() as u64);
    println!("OFFSHOOT_TEST_SEED={seed}");
    let mut rng = Rng(seed);
    for _ in 0..300 {
        let (mut stream, mut ends, mut expected) = (Vec::new(), vec![0], Heard::default());
        for _ in 0..rng.below(40) {
            let kind = b"ZKDTNSE"[rng.below(7)];
            let longest = if rng.below(10) == 0 { 5000 } else { 12 };
            let body: Vec<u8> = (0..rng.below(longest)).map(|_| rng.next() as u8).collect();
            expected.headers.push((kind, body.len() as u32));
            if kind == b'Z' || kind == b'K' {
                expected.bodies.push((kind, body.clone()));
            }
            stream.extend(message(kind, &body));
            ends.push(stream.len());
        }
        let (mut framer, mut heard, mut at) = (Framer::default(), Heard::default(), 0);
        while at < stream.len() {
            let longest = [1, 3, 7, 100, 9000][rng.below(5)];
            let end = stream.len().min(at + 1 + rng.below(longest));
            let boundary = framer.feed(&stream[at..end], &mut heard);
            let last_end = ends.iter().rev().find(|&&stop| (at..=end).contains(&stop));
            assert_eq!(boundary, last_end.map(|stop| stop - at), "seed {seed}");
            assert_eq!(framer.at_boundary(), ends.contains(&end), "seed {seed}");
            at = end;
        }
        assert_eq!(heard, expected, "seed {seed}");
    }
}

#[test]
fn a_statement_ends_outside_of_transactions_only_and_the_login_is_none() {
    let mut talk = logged_in();
    assert!(!talk.take_statement_end());
    for (script, ends) in [
        (">Q <C", false),
        ("<Z:I", true),
        (">Q <C <Z:T", false),
        (">Q <E <Z:E", false),
        (">Q <C <Z:I", true),
        (">P >B >E >S <1 <2 <C <Z:I", true),
        (">X", false),
    ] {
        play(&mut talk, script);
        assert_eq!(talk.take_statement_end(), ends, "after {script:?}");
        assert!(!talk.take_statement_end(), "it is told once");
    }
}
