// Messages on top of the ring, in the format of slipring's `frame` (docs/layout.md): eight bytes
// before each part of a message (the length of its payload, then flags, both 32 bits), the payload,
// and zeros up to a multiple of 8.

using System;
using System.IO;

sealed class FrameWriter
{
    readonly RingWriter ring;

    public FrameWriter(RingWriter ring) { this.ring = ring; }

    /// <summary>Sends a message in one part.</summary>
    public void Send(byte[] message)
    {
        var frame = new byte[8 + (message.Length + 7) / 8 * 8];
        BitConverter.GetBytes(message.Length).CopyTo(frame, 0);
        message.CopyTo(frame, 8);
        ring.Write(frame, 0, frame.Length);
    }
}

sealed class FrameReader
{
    const int More = 1, GivenUp = 2;

    readonly RingReader ring;

    public FrameReader(RingReader ring) { this.ring = ring; }

    /// <summary>Waits for the next message, however many parts it comes in.</summary>
    public byte[] Receive()
    {
        using (var message = new MemoryStream())
            for (;;)
            {
                byte[] header = ReadExactly(8);
                int length = BitConverter.ToInt32(header, 0);
                int flags = BitConverter.ToInt32(header, 4);
                if (length < 0 || (flags & ~(More | GivenUp)) != 0)
                    throw new InvalidDataException("the other side does not send messages");
                message.Write(ReadExactly((length + 7) / 8 * 8), 0, length);
                if ((flags & GivenUp) != 0)
                    message.SetLength(0);
                else if ((flags & More) == 0)
                    return message.ToArray();
            }
    }

    byte[] ReadExactly(int count)
    {
        var buffer = new byte[count];
        for (int have = 0; have < count;)
            have += ring.Read(buffer, have, count - have);
        return buffer;
    }
}
