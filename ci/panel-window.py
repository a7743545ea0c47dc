#!/usr/bin/python3
"""Looks at the window of panels/ as a person would: under Xvfb, by its colours and by its text.

    ci/panel-window.py PROGRAMS [PICTURE]

PROGRAMS is the folder of the built programs. Needs Xvfb, xdotool, tesseract and Pillow;
ci/panels.sh installs them. PICTURE is where one screenshot is kept.
"""

import os
import re
import signal
import subprocess
import sys
import tempfile
import time

from PIL import Image, ImageChops, ImageGrab, ImageOps

SIZE = (1360, 820)
DEADLINE = 120
RISE, FALL = (38, 194, 129), (239, 83, 80)


class Word:
    """A word on the screen, and where it is."""

    def __init__(self, text, left, top, width, height):
        self.text = text
        self.left, self.top, self.right, self.bottom = left, top, left + width, top + height
        self.x, self.y = left + width // 2, top + height // 2

    def __repr__(self):
        return self.text


def wait(what, look):
    """The result of `look`, once that is true."""
    deadline = time.monotonic() + DEADLINE
    while time.monotonic() < deadline:
        found = look()
        if found:
            print(f'   {what}')
            return found
        time.sleep(0.1)
    failed = os.path.join(tempfile.gettempdir(), 'panel-failed.png')
    screen.image().save(failed)
    for box in (TOP, FILTER, SYMBOLS, SIDE):
        print(screen.text(box))
    sys.exit(f'waited in vain: {what}. The screen is in {failed}, its text above')


class Screen:
    def __init__(self):
        read, write = os.pipe()
        arguments = ['Xvfb', '-displayfd', str(write), '-nolisten', 'tcp', '-noreset']
        arguments += ['-screen', '0', f'{SIZE[0]}x{SIZE[1]}x24']
        self.server = subprocess.Popen(
            arguments, pass_fds=[write], stderr=subprocess.DEVNULL)
        os.close(write)
        with os.fdopen(read) as number:
            self.display = ':' + number.readline().strip()
        if self.display == ':':
            sys.exit('Xvfb does not start')

    def image(self, box=None):
        return ImageGrab.grab(bbox=box, xdisplay=self.display).convert('RGB')

    def words(self, box, is_white=False):
        """The words within the box, by tesseract: all, or those that are white on any colour."""
        image = self.image(box)
        if is_white:
            red, green, blue = image.split()
            image = ImageChops.darker(red, ImageChops.darker(green, blue))
        # A narrow box is a column of words.
        mode = '6' if image.width < 120 else '11'
        dark = ImageOps.invert(ImageOps.grayscale(image))
        dark = ImageOps.autocontrast(dark.resize((dark.width * 3, dark.height * 3), Image.LANCZOS))
        with tempfile.NamedTemporaryFile(suffix='.png') as file:
            dark.save(file.name)
            tsv = subprocess.run(
                ['tesseract', file.name, '-', '--psm', mode, '--dpi', '210', 'tsv'],
                capture_output=True, text=True, check=True).stdout
        words = []
        for line in tsv.splitlines()[1:]:
            cells = line.split('\t')
            if cells[-1].strip():
                left, top, width, height = (int(cell) // 3 for cell in cells[6:10])
                words.append(Word(cells[-1], left + box[0], top + box[1], width, height))
        return words

    def text(self, box, is_white=False):
        return ' '.join(word.text for word in self.words(box, is_white))

    def do(self, *arguments):
        environment = dict(os.environ, DISPLAY=self.display)
        subprocess.run(['xdotool', *map(str, arguments)], env=environment, check=True)

    def click(self, x, y):
        self.do('mousemove', x, y, 'click', 1)
        self.do('mousemove', 700, 20)


TOP = (0, 0, SIZE[0], 100)
FILTER = (0, 45, 925, 130)
SYMBOLS = (0, 45, 105, SIZE[1])
SIDE = (930, 45, *SIZE)
TICKET = (940, 390, 1350, 420)
FILLS = (940, 440, 1350, 600)


def start(program, *arguments):
    environment = dict(os.environ, DISPLAY=screen.display, LIBGL_ALWAYS_SOFTWARE='1')
    process = subprocess.Popen([os.path.join(programs, program), *arguments], env=environment)
    running.append(process)
    return process


def says(pattern, box):
    return lambda: re.search(pattern, screen.text(box))


def word(text, box, is_white=False):
    """The word on the screen, or None."""
    return next((word for word in screen.words(box, is_white) if word.text == text), None)


def symbols():
    """The symbols that are seen, from the top."""
    found = [w for w in screen.words(SYMBOLS) if re.fullmatch('[A-Z]{4}', w.text)]
    return sorted(found, key=lambda word: word.y)


def is_mixed(pixel, colour):
    """Whether this is a dark background with a part of the colour over it."""
    strong = max(range(3), key=lambda part: colour[part])
    return all(pixel[strong] - pixel[part] > 25 for part in range(3) if part != strong)


def flashes():
    """How many prices have just risen, and how many have fallen."""
    found, heading = symbols(), word('Last', FILTER)
    if len(found) < 4 or not heading:
        return (0, 0)
    image = screen.image()
    # Left of the digits there is only the colour.
    pixels = [image.getpixel((heading.left - 50, symbol.y)) for symbol in found]
    return tuple(sum(is_mixed(pixel, c) for pixel in pixels) for c in (RISE, FALL))


def last_prices():
    heading = word('Last', FILTER)
    if not heading:
        return []
    box = (heading.left - 55, heading.bottom + 5, heading.right + 5, SIZE[1])
    return re.findall(r'\d+\.\d\d', screen.text(box, is_white=True))


def prices_move():
    flashing = flashes()
    return len(last_prices()) > 5 and sum(flashing) >= 3 and flashing


def check():
    print('the window, before there is an engine')
    panel = start('slipring-panels-window', 'market')
    wait('it waits for an engine', says('WAITING.*no engine yet', TOP))
    # There is no window manager that gives it the keyboard.
    screen.do('search', '--name', 'slipring: market', 'windowfocus')

    print('an engine')
    engine = start('slipring-panels-engine', 'market')
    wait('it is live', says(rf'LIVE.*engine {engine.pid}', TOP))
    wait('it has all symbols', says('[5S]00 of [5S]00', FILTER))
    wait('prices have just changed', prices_move)
    seen = set()

    def both():
        rises, falls = flashes()
        seen.update(['rise'] * rises + ['fall'] * falls)
        return seen == {'rise', 'fall'}
    wait('some rose, and some fell', both)
    first = last_prices()
    wait('the table has other prices now', lambda: last_prices() not in ([], first))

    def figures():
        text = screen.text(TOP).lower()
        names = ('symbols', 'published/s', 'painted/s', 'lag', 'longest', 'frames/s')
        return all(name in text for name in names)
    wait('it names its figures', figures)

    def published():
        words = screen.words((800, 0, SIZE[0], 50))
        numbers = [int(w.text.replace(',', '')) for w in words
                   if re.fullmatch(r'\d,\d{3}', w.text)]
        return numbers and 2_000 < max(numbers) < 8_000
    wait('the rate is that of the engine, 5,000 a second or so', published)

    print('the table')
    heading = wait('it has a heading', lambda: word('Symbol', FILTER))
    screen.click(heading.x, heading.y)

    def is_sorted():
        names = [symbol.text for symbol in symbols()]
        return len(names) > 5 and names == sorted(names)
    wait('a click on it sorts by symbol', is_sorted)
    field = word('Filter', FILTER)
    screen.click(field.x, field.y)
    screen.do('type', 'ba')

    def is_filtered():
        names = [symbol.text for symbol in symbols()]
        return len(names) > 3 and all('BA' in name for name in names)
    wait('the filter leaves what contains its text', is_filtered)
    wait('and says how many', says(r'(?<![\dS])\d{1,2} of [5S]00', FILTER))
    symbol = symbols()[1]
    screen.click(symbol.x, symbol.y)
    wait('a click chooses a symbol', says(rf'{symbol.text}.*Quantity', SIDE))

    print('an order')
    for wish, done in [('Buy', 'Bought'), ('Sell', 'Sold')]:
        button = wait(f'there is a button, {wish}', lambda: word(wish, SIDE, is_white=True))
        screen.click(button.x, button.y)
        wait('the order is answered', says(
            rf'{done} 100 {symbol.text} at [\d.]+, answered in', TICKET))
        wait('its fill is in the list', says(rf'Fills.*{done}.*{symbol.text}', FILLS))
    if picture:
        # As it looks after a while: the whole table, and a minute of a price.
        clear = wait('there is Clear', lambda: word('Clear', FILTER))
        screen.click(clear.x, clear.y)
        time.sleep(60)
        screen.image().save(picture)
        screen.click(field.x, field.y)
        screen.do('type', 'ba')

    print('the engine is killed')
    engine.kill()
    engine.wait()
    wait('the window says that it is lost, and why', says(
        'ENGINE LOST.*Engine lost .* ago: the publisher died', TOP))
    wait('no price changes any more', lambda: len(symbols()) > 3 and flashes() == (0, 0))

    assert panel.poll() is None, 'the window has ended'

    print('another engine')
    engine = start('slipring-panels-engine', 'market')
    wait('the window says that there is a new one', says(
        f'LIVE.*New engine: process {engine.pid}', TOP))
    wait('prices change again', prices_move)
    button = word('Buy', SIDE, is_white=True)
    screen.click(button.x, button.y)
    wait('orders go to the new engine', says(
        r'Bought 100 [A-Z]{4} at [\d.]+, answered in', TICKET))
    assert panel.poll() is None, 'the window has ended'


programs = sys.argv[1]
picture = sys.argv[2] if len(sys.argv) > 2 else None
running = []
with tempfile.TemporaryDirectory() as directory:
    os.environ['XDG_RUNTIME_DIR'] = directory
    screen = Screen()
    running.append(screen.server)
    try:
        check()
    finally:
        for process in reversed(running):
            process.send_signal(signal.SIGKILL)
            process.wait()
