//! Where senders say their words, with strangers before it.

use super::migration::{HOST, guest, receive};
use super::node::Node;
use model::id::{KeyId, VmId};
use model::order::Storage;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

/// However many connect and say nothing, whoever has something to say is answered.
#[test]
fn silent_strangers_keep_nobody_out() {
    let node = Node::new();
    let machine = guest(&node, VmId(1), "ticker");
    let address = receive(&node, machine, Storage::Shared, KeyId(1));
    let port = address.split("word=").nth(1).expect("a port");
    let port = port.split(',').next().expect("a port");
    let connect = || TcpStream::connect(format!("{HOST}:{port}")).expect("it listens");
    let _strangers: Vec<TcpStream> = (0..200).map(|_| connect()).collect();
    let mut sender = connect();
    sender.write_all(b"{\"run\":\"00\"}\n").expect("it hears");
    let mut answer = String::new();
    let read = BufReader::new(sender).read_line(&mut answer);
    read.expect("an answer");
    assert!(answer.contains("no VM comes by this word"), "{answer:?}");
}
