// A program that talks to others through the ring: what slipring's tests run, and something to try.
//
//   ring.exe write PATH SIZE            copies standard input into the ring
//   ring.exe read PATH SIZE             copies the ring to standard output, for ever
//   ring.exe echo IN OUT SIZE           copies from one ring to another, for ever
//   ring.exe answer IN OUT SIZE         sends each message back with its bytes reversed, for ever
//   ring.exe send PATH SIZE BYTES SEED  writes that many bytes of a sequence that `expect` knows
//   ring.exe expect PATH SIZE BYTES SEED  reads them and checks each
//
// SIZE is that of the file. BYTES 0 is for ever. The sequence goes on at the position that the file
// is at.

using System;
using System.IO;

static class Program
{
    static int Main(string[] args)
    {
        try
        {
            switch (args.Length > 0 ? args[0] : "")
            {
                case "write": Write(args[1], long.Parse(args[2])); return 0;
                case "read": Read(args[1], long.Parse(args[2])); return 0;
                case "echo": Echo(args[1], args[2], long.Parse(args[3])); return 0;
                case "answer": Answer(args[1], args[2], long.Parse(args[3])); return 0;
                case "send":
                    Send(args[1], long.Parse(args[2]), long.Parse(args[3]), ulong.Parse(args[4]));
                    return 0;
                case "expect":
                    Expect(args[1], long.Parse(args[2]), long.Parse(args[3]), ulong.Parse(args[4]));
                    return 0;
                default:
                    Console.Error.WriteLine(
                        "usage: ring.exe write|read|echo|answer|send|expect ... (see Program.cs)");
                    return 2;
            }
        }
        catch (Exception e)
        {
            Console.Error.WriteLine(e.Message);
            return 1;
        }
    }

    static void Write(string path, long size)
    {
        var buffer = new byte[1 << 16];
        using (var ring = new RingWriter(path, size))
        using (var input = Console.OpenStandardInput())
            for (int n; (n = input.Read(buffer, 0, buffer.Length)) > 0;)
                ring.Write(buffer, 0, n);
    }

    static void Read(string path, long size)
    {
        var buffer = new byte[1 << 16];
        using (var ring = new RingReader(path, size))
        using (var output = Console.OpenStandardOutput())
            for (;;)
            {
                int n = ring.Read(buffer, 0, buffer.Length);
                output.Write(buffer, 0, n);
                output.Flush();
            }
    }

    static void Echo(string from, string to, long size)
    {
        var buffer = new byte[1 << 16];
        using (var reader = new RingReader(from, size))
        using (var writer = new RingWriter(to, size))
            for (;;)
                writer.Write(buffer, 0, reader.Read(buffer, 0, buffer.Length));
    }

    static void Answer(string from, string to, long size)
    {
        using (var reader = new RingReader(from, size))
        using (var writer = new RingWriter(to, size))
        {
            var questions = new FrameReader(reader);
            var answers = new FrameWriter(writer);
            for (;;)
            {
                byte[] message = questions.Receive();
                Array.Reverse(message);
                answers.Send(message);
            }
        }
    }

    static void Send(string path, long size, long bytes, ulong seed)
    {
        using (var ring = new RingWriter(path, size))
        {
            // Messages of every length, the longer ones larger than the ring.
            var longest = (int)Math.Min(3 * ring.Capacity, 1 << 20);
            var buffer = new byte[longest];
            var random = new Random((int)seed);
            long position = ring.Position, end = bytes == 0 ? long.MaxValue : position + bytes;
            Say("at " + position);
            while (position < end)
            {
                int n = (int)Math.Min(random.Next(longest) + 1, end - position);
                Bytes.Fill(seed, position, buffer, n);
                ring.Write(buffer, 0, n);
                position += n;
            }
            Say("done at " + position);
        }
    }

    static void Expect(string path, long size, long bytes, ulong seed)
    {
        using (var ring = new RingReader(path, size))
        {
            byte[] buffer = new byte[1 << 18], scratch = new byte[buffer.Length];
            var random = new Random((int)seed);
            long position = ring.Position, end = bytes == 0 ? long.MaxValue : position + bytes;
            Say("at " + position);
            while (position < end)
            {
                long most = Math.Min(random.Next(buffer.Length) + 1, end - position);
                int n = ring.Read(buffer, 0, (int)most);
                Bytes.Check(seed, position, buffer, n, scratch);
                position += n;
            }
            Say("done at " + position);
        }
    }

    static void Say(string what)
    {
        Console.Out.WriteLine(what);
        Console.Out.Flush();
    }
}
