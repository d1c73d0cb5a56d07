//! What a driver's XDP can do, as the kernel says it from Linux 6.3 on: the family `netdev` of generic netlink
//! (`Documentation/netlink/specs/netdev.yaml` in the kernel's sources).

use std::fmt::Debug;

use anyhow::{Context as _, Result, bail};
use netlink_packet_core::{
    DecodeError, DefaultNla, Emitable, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload, Nla as _,
    NlasIterator, Parseable as _, ParseableParametrized,
};
use netlink_packet_generic::{
    GenlFamily, GenlHeader, GenlMessage,
    ctrl::{GenlCtrl, GenlCtrlCmd, nlas::GenlCtrlAttrs},
};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_GENERIC};

/// These in the kernel's `include/uapi/linux/netdev.h`.
const NETDEV_CMD_DEV_GET: u8 = 1;
const NETDEV_FAMILY_VERSION: u8 = 1;
const NETDEV_A_DEV_IFINDEX: u16 = 1;
const NETDEV_A_DEV_XDP_FEATURES: u16 = 3;
const NETDEV_XDP_ACT_RX_SG: u64 = 32;

/// Whether the driver hands over frames that are spread over several buffers.
///
/// # Errors
/// If the kernel is older than Linux 6.3, or knows no such interface.
pub(super) fn takes_several_buffers(index: u32) -> Result<bool> {
    let mut socket = Socket::new(NETLINK_GENERIC).context("cannot open a netlink socket")?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    let index = DefaultNla::new(NETDEV_A_DEV_IFINDEX, index.to_ne_bytes().to_vec());
    let mut question = GenlMessage::from_payload(Device(vec![index]));
    question.set_resolved_family_id(family(&socket)?);
    let Device(answer) = ask(&socket, question)?;
    let features = answer.iter().find(|attribute| attribute.kind() == NETDEV_A_DEV_XDP_FEATURES);
    let mut octets = [0; 8];
    features
        .filter(|features| features.value_len() == octets.len())
        .context("the kernel does not say")?
        .emit_value(&mut octets);
    Ok(u64::from_ne_bytes(octets) & NETDEV_XDP_ACT_RX_SG != 0)
}

/// The number that the kernel gave the family.
fn family(socket: &Socket) -> Result<u16> {
    let name = GenlCtrlAttrs::FamilyName(Device::family_name().to_owned());
    let question = GenlCtrl { cmd: GenlCtrlCmd::GetFamily, nlas: vec![name] };
    let answer = ask(socket, GenlMessage::from_payload(question))?;
    let id = answer.nlas.iter().find_map(|attribute| match attribute {
        GenlCtrlAttrs::FamilyId(id) => Some(*id),
        _ => None,
    });
    id.context("the kernel gave the family no number")
}

/// Asks the kernel, and returns its answer, which is one message.
fn ask<F>(socket: &Socket, mut question: GenlMessage<F>) -> Result<F>
where
    F: GenlFamily + Emitable + ParseableParametrized<[u8], GenlHeader> + Clone + Debug + Eq,
{
    question.finalize();
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST;
    let mut message = NetlinkMessage::new(header, NetlinkPayload::from(question));
    message.finalize();
    let mut octets = vec![0; message.buffer_len()];
    message.serialize(&mut octets);
    socket.send(&octets, 0)?;
    let (answer, _) = socket.recv_from_full()?;
    match NetlinkMessage::<GenlMessage<F>>::deserialize(&answer)?.payload {
        NetlinkPayload::InnerMessage(message) => Ok(message.payload),
        other => bail!("the kernel answers with {other:?}"),
    }
}

/// What is asked and said of an interface.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Device(Vec<DefaultNla>);

impl GenlFamily for Device {
    fn family_name() -> &'static str {
        "netdev"
    }

    fn command(&self) -> u8 {
        NETDEV_CMD_DEV_GET
    }

    fn version(&self) -> u8 {
        NETDEV_FAMILY_VERSION
    }
}

impl Emitable for Device {
    fn buffer_len(&self) -> usize {
        self.0.as_slice().buffer_len()
    }

    fn emit(&self, buffer: &mut [u8]) {
        self.0.as_slice().emit(buffer);
    }
}

impl ParseableParametrized<[u8], GenlHeader> for Device {
    fn parse_with_param(octets: &[u8], _: GenlHeader) -> Result<Self, DecodeError> {
        let attributes = NlasIterator::new(octets).map(|attribute| DefaultNla::parse(&attribute?));
        Ok(Self(attributes.collect::<Result<_, _>>()?))
    }
}
