#!/usr/bin/python3
"""Looks at the page of panels/gateway in a headless Chromium, through its DevTools protocol.

    ci/panel-browser.py PROGRAMS [PICTURE]

PROGRAMS is the folder of the built programs. Needs Chromium and the Python package websockets;
ci/panels.sh installs them. PICTURE is where a screenshot is kept.
"""

import asyncio
import base64
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

import websockets

DEADLINE = 120


class Target:
    """The browser, or a page, and what is asked of it."""

    async def reach(self, url):
        self.socket = await websockets.connect(url, max_size=None)
        self.number, self.answers, self.errors = 0, {}, []
        self.reader = asyncio.create_task(self.read())
        return self

    async def read(self):
        async for text in self.socket:
            message = json.loads(text)
            if 'id' in message:
                self.answers.pop(message['id']).set_result(message)
            elif message['method'] == 'Runtime.exceptionThrown':
                self.errors.append(message['params']['exceptionDetails'])

    async def do(self, method, **params):
        self.number += 1
        answer = self.answers[self.number] = asyncio.get_running_loop().create_future()
        await self.socket.send(json.dumps({'id': self.number, 'method': method, 'params': params}))
        answer = await asyncio.wait_for(answer, DEADLINE)
        assert 'error' not in answer, answer
        return answer['result']

    async def page(self, port, address):
        """A window with a process of its own, as if it were another user's."""
        context = (await self.do('Target.createBrowserContext'))['browserContextId']
        target = await self.do(
            'Target.createTarget', url=address, browserContextId=context, newWindow=True)
        page = await Target().reach(f'ws://127.0.0.1:{port}/devtools/page/{target["targetId"]}')
        for domain in ('Runtime', 'Page', 'Debugger'):
            await page.do(f'{domain}.enable')
        return page

    async def value(self, expression):
        answer = await self.do('Runtime.evaluate', expression=expression, returnByValue=True)
        return answer['result'].get('value')

    async def wait(self, what, expression, holds=bool):
        """The value of the expression, once that is so."""
        deadline = time.monotonic() + DEADLINE
        while time.monotonic() < deadline:
            assert not self.errors, self.errors
            found = await self.value(expression)
            if holds(found):
                print(f'   {what}')
                return found
            await asyncio.sleep(0.05)
        sys.exit(f'waited in vain: {what}. {expression} is {found}')


def start(program, *arguments, **more):
    process = subprocess.Popen([program, *arguments], **more)
    running.append(process)
    return process


async def check(directory):
    browser = shutil.which('chromium') or shutil.which('chromium-browser')
    data = os.path.join(directory, 'browser')
    start(browser, '--headless=new', '--no-sandbox', '--disable-gpu', '--remote-debugging-port=0',
          '--window-size=1280,760', f'--user-data-dir={data}', 'about:blank',
          stderr=subprocess.DEVNULL)
    engine = start(f'{programs}/slipring-panels-engine', 'market')
    gateway = start(f'{programs}/slipring-panels-gateway', 'market', '0',
                    stderr=subprocess.PIPE, text=True)
    address = re.search('http://.*', gateway.stderr.readline()).group()
    file, deadline = os.path.join(data, 'DevToolsActivePort'), time.monotonic() + DEADLINE
    while not (os.path.exists(file) and open(file).read().count('\n')):
        assert time.monotonic() < deadline, 'Chromium does not start'
        await asyncio.sleep(0.05)
    port, path = open(file).read().split()
    chromium = await Target().reach(f'ws://127.0.0.1:{port}{path}')

    print('a page')
    page = await chromium.page(port, address)
    await page.wait('it is live', 'find("#state").textContent', 'LIVE'.__eq__)
    await page.wait('it has all symbols', 'rows.size', (500).__eq__)
    first = await page.value('panel.firstRows')
    assert first == 500, f'the first message had {first} symbols'
    prices = '[...document.querySelectorAll("tbody td:nth-child(2)")].map((c) => c.textContent)'
    before = await page.wait('the table is full', prices, lambda all: len(all) == 500)
    await page.wait('prices move', prices, lambda all: sum(map(str.__ne__, all, before)) > 20)
    # A cell is coloured while it flashes.
    for moved, strong, weak in [('rise', 1, 0), ('fall', 0, 1)]:
        await page.wait(f'cells flash: a {moved}', f"""
            [...document.querySelectorAll('td[data-moved={moved}]')].filter((cell) => {{
                const colour = getComputedStyle(cell).backgroundColor.match(/[0-9.]+/g);
                return colour[{strong}] - colour[{weak}] > 60;
            }}).length""")
    await page.value('find("#filter").value = "ba"; find("#filter").oninput({target: '
                     'find("#filter")})')
    await page.wait('the filter leaves what contains its text', '[...document.querySelectorAll('
                    '"tbody td:first-child")].map((c) => c.textContent)',
                    lambda all: 1 < len(all) < 100 and all == [s for s in all if 'BA' in s])
    await page.value('find("#filter").value = ""; find("#filter").oninput({target: '
                     'find("#filter")})')

    print('a page that is stopped')
    stopped = await chromium.page(port, address)
    await stopped.wait('it is live', 'rows.size', (500).__eq__)
    await stopped.do('Debugger.pause')
    frame = await page.value('panel.frame')
    await page.wait('the other one goes on', 'panel.frame', lambda now: now > frame + 60)
    await page.wait('and gets prices of now', 'Date.now() - Math.max(...[...rows.values()].map('
                    '(row) => row.quote[5]))', lambda age: age < 1000)
    await stopped.do('Debugger.resume')
    step = await stopped.wait('let go, it gets all that it missed in one message',
                              'panel.largestStep', lambda step: step > 40)
    at = await page.value('panel.frame')
    await stopped.wait('and is where the other one is', 'panel.frame', lambda now: now >= at)
    print(f'   the message came {step} frames after the one before')

    print('a reload')
    await page.do('Page.reload')
    await page.wait('the page is there', 'document.readyState === "complete" && rows.size',
                    (500).__eq__)
    told = await page.value('[panel.firstRows, panel.snapshots]')
    assert told == [500, 1], told
    taken = await page.value('panel.connected')
    print(f'   its first message had all 500 symbols, {taken:.0f} ms after it had begun')
    if picture:
        await asyncio.sleep(8)
        image = await page.do('Page.captureScreenshot', format='png')
        with open(picture, 'wb') as file:
            file.write(base64.b64decode(image['data']))

    print('an engine that is killed')
    engine.kill()
    engine.wait()
    await page.wait('the page says so', 'find("#state").textContent', 'ENGINE LOST'.__eq__)
    frozen = await page.value(prices)
    engine = start(f'{programs}/slipring-panels-engine', 'market')
    await page.wait('the page goes on with the next one', 'find("#news").textContent',
                    lambda news: f'New engine: process {engine.pid}' in news)
    await page.wait('and has its prices', prices,
                    lambda all: len(all) == 500 and sum(map(str.__ne__, all, frozen)) > 400)
    assert gateway.poll() is None, 'the gateway has ended'
    assert not page.errors and not stopped.errors, page.errors + stopped.errors


programs = sys.argv[1]
picture = sys.argv[2] if len(sys.argv) > 2 else None
running = []
# Chromium still writes while it is killed.
with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as directory:
    os.environ['XDG_RUNTIME_DIR'] = directory
    try:
        asyncio.run(check(directory))
    finally:
        for process in reversed(running):
            process.kill()
            process.wait()
