//! What the bytes of a connection run on: TCP, or TLS on TCP.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::tls::Welcome;

/// A TCP connection, with its TLS.
pub(super) enum Io {
    Tcp(TcpStream),
    #[cfg(feature = "tls")]
    Handshake(Pin<Box<tokio_rustls::Accept<TcpStream>>>),
    #[cfg(feature = "tls")]
    Tls(Pin<Box<tokio_rustls::server::TlsStream<TcpStream>>>),
    /// The handshake failed.
    #[cfg(feature = "tls")]
    Broken,
}

/// A stream of bytes.
trait Bytes: AsyncRead + AsyncWrite {}
impl<T: AsyncRead + AsyncWrite> Bytes for T {}

impl Io {
    pub(super) fn new(tcp: TcpStream, welcome: &Welcome) -> Self {
        // Data is small and urgent.
        let _ = tcp.set_nodelay(true);
        match welcome {
            Welcome::Plain => Self::Tcp(tcp),
            #[cfg(feature = "tls")]
            Welcome::Tls(acceptor) => Self::Handshake(Box::pin(acceptor.accept(tcp))),
        }
    }

    /// Reads into `buf`. 0 bytes are the end.
    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut room = ReadBuf::new(buf);
        ready!(ready!(self.poll_bytes(cx))?.poll_read(cx, &mut room))?;
        Poll::Ready(Ok(room.filled().len()))
    }

    /// Writes some of the bytes.
    pub(super) fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match ready!(ready!(self.poll_bytes(cx))?.poll_write(cx, bytes))? {
            0 => Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
            len => Poll::Ready(Ok(len)),
        }
    }

    /// Hands over what encryption holds.
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_bytes(cx))?.poll_flush(cx)
    }

    /// Says that nothing more comes: with TLS in words, too.
    pub(super) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_bytes(cx))?.poll_shutdown(cx)
    }

    /// The stream, once the handshake is done.
    fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Pin<&mut dyn Bytes>>> {
        #[cfg(not(feature = "tls"))]
        let _ = cx;
        #[cfg(feature = "tls")]
        if let Self::Handshake(accept) = self {
            // A handshake that has ended must not be polled again.
            match ready!(accept.as_mut().poll(cx)) {
                Ok(tls) => *self = Self::Tls(Box::pin(tls)),
                Err(error) => {
                    *self = Self::Broken;
                    return Poll::Ready(Err(error));
                }
            }
        }
        match self {
            Self::Tcp(tcp) => {
                let tcp: Pin<&mut TcpStream> = Pin::new(tcp);
                Poll::Ready(Ok(tcp))
            }
            #[cfg(feature = "tls")]
            Self::Tls(tls) => Poll::Ready(Ok(tls.as_mut())),
            #[cfg(feature = "tls")]
            Self::Handshake(_) | Self::Broken => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }
}
