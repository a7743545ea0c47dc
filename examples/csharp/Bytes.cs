// Bytes that are a function of their position, so that whatever is lost, doubled or changed is
// found, and where. The same ones as in slipring/tests/common/bytes.rs.

using System;

static class Bytes
{
    static ulong Mix(ulong x)
    {
        x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
        x = (x ^ x >> 27) * 0x94d049bb133111eb;
        return x ^ x >> 31;
    }

    /// <summary>The byte of the stream `seed` at `position`.</summary>
    static byte At(ulong seed, long position)
    {
        ulong word = Mix(seed ^ (ulong)(position / 8) * 0x9e3779b97f4a7c15);
        return (byte)(word >> (int)(position % 8 * 8));
    }

    /// <summary>Fills the buffer with the bytes of the stream from `position` on.</summary>
    public static void Fill(ulong seed, long position, byte[] buffer, int count)
    {
        int i = 0;
        for (; i < count && (position + i) % 8 != 0; i++)
            buffer[i] = At(seed, position + i);
        for (; i + 8 <= count; i += 8)
        {
            ulong word = Mix(seed ^ (ulong)((position + i) / 8) * 0x9e3779b97f4a7c15);
            for (int k = 0; k < 8; k++, word >>= 8)
                buffer[i + k] = (byte)word;
        }
        for (; i < count; i++)
            buffer[i] = At(seed, position + i);
    }

    /// <summary>Fails with the position of the first byte that is not the stream's.</summary>
    public static void Check(ulong seed, long position, byte[] buffer, int count, byte[] scratch)
    {
        Fill(seed, position, scratch, count);
        for (int i = 0; i < count; i++)
            if (buffer[i] != scratch[i])
                throw new Exception(
                    "stream " + seed + ": the byte at " + (position + i) + " is wrong");
    }
}
