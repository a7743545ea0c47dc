// The 16-byte ring in a mapped file, as programs built on MemoryMappedFile use it.
//
//   offset   0        8        16                        size of the file
//            | head   | tail   | data .................. |
//
// head: bytes ever consumed, written by the consumer. tail: bytes ever produced, written by the
// producer. Both only grow. The byte at position p lies at 16 + p % (size - 16).

using System;
using System.IO;
using System.IO.MemoryMappedFiles;
using System.Threading;

/// <summary>A file that two processes have mapped, and what both ends of its ring need.</summary>
unsafe abstract class Ring : IDisposable
{
    const int Header = 16;

    readonly MemoryMappedFile file;
    readonly MemoryMappedViewAccessor view;
    readonly byte* start;

    /// <summary>Bytes that the ring can hold.</summary>
    public readonly long Capacity;

    /// <summary>Opens the file, or makes it: all zeros, an empty ring.</summary>
    protected Ring(string path, long size)
    {
        file = MemoryMappedFile.CreateFromFile(path, FileMode.OpenOrCreate, null, size);
        view = file.CreateViewAccessor(0, size);
        view.SafeMemoryMappedViewHandle.AcquirePointer(ref start);
        // Not from view.Capacity: that is rounded up to whole pages.
        Capacity = size - Header;
    }

    // Volatile: what was copied before a store is there for whoever loads what was stored; and the
    // load is repeated.
    protected long Head
    {
        get { return Volatile.Read(ref *(long*)start); }
        set { Volatile.Write(ref *(long*)start, value); }
    }

    protected long Tail
    {
        get { return Volatile.Read(ref *(long*)(start + 8)); }
        set { Volatile.Write(ref *(long*)(start + 8), value); }
    }

    /// <summary>Copies into the ring: to the end of the data, and the rest to its start.</summary>
    protected void CopyIn(long position, byte[] from, int offset, int count)
    {
        long at = position % Capacity;
        int first = (int)Math.Min(count, Capacity - at);
        fixed (byte* source = from)
        {
            Buffer.MemoryCopy(source + offset, start + Header + at, first, first);
            long rest = count - first;
            Buffer.MemoryCopy(source + offset + first, start + Header, rest, rest);
        }
    }

    /// <summary>Copies out of the ring, in one piece or two.</summary>
    protected void CopyOut(long position, byte[] to, int offset, int count)
    {
        long at = position % Capacity;
        int first = (int)Math.Min(count, Capacity - at);
        fixed (byte* target = to)
        {
            Buffer.MemoryCopy(start + Header + at, target + offset, first, first);
            long rest = count - first;
            Buffer.MemoryCopy(start + Header, target + offset + first, rest, rest);
        }
    }

    /// <summary>There is no bell: spin, yield, then short sleeps.</summary>
    protected static void WaitUntil(Func<bool> condition)
    {
        for (int turn = 0; !condition(); turn++)
        {
            if (turn < 200)
                Thread.SpinWait(20);
            else if (turn < 220)
                Thread.Yield();
            else
                Thread.Sleep(1);
        }
    }

    public void Dispose()
    {
        view.SafeMemoryMappedViewHandle.ReleasePointer();
        view.Dispose();
        file.Dispose();
    }
}

/// <summary>The one that produces, and moves tail.</summary>
sealed class RingWriter : Ring
{
    public RingWriter(string path, long size) : base(path, size) { }

    /// <summary>Bytes ever written into this file, by this process or another.</summary>
    public long Position { get { return Tail; } }

    /// <summary>Writes all of it. What fits becomes visible at once; more goes in parts.</summary>
    public void Write(byte[] bytes, int offset, int count)
    {
        while (count > 0)
        {
            int part = (int)Math.Min(count, Capacity);
            long tail = Tail;
            WaitUntil(() => Capacity - (tail - Head) >= part);
            CopyIn(tail, bytes, offset, part);
            Tail = tail + part;
            offset += part;
            count -= part;
        }
    }
}

/// <summary>The one that consumes, and moves head.</summary>
sealed class RingReader : Ring
{
    public RingReader(string path, long size) : base(path, size) { }

    /// <summary>Bytes ever consumed from this file, by this process or another.</summary>
    public long Position { get { return Head; } }

    /// <summary>Waits until there is something, and takes what of it fits.</summary>
    public int Read(byte[] buffer, int offset, int count)
    {
        long head = Head;
        WaitUntil(() => Tail != head);
        int part = (int)Math.Min(count, Tail - head);
        CopyOut(head, buffer, offset, part);
        Head = head + part;
        return part;
    }
}
