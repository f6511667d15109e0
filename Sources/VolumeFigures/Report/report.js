'use strict';
const data = JSON.parse(document.getElementById('data').textContent);
const page = document.getElementById('page');

// MARK: Elements

/** An element with properties and children; text is never read as markup. */
function make(tag, properties = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(properties)) {
        if (name === 'on') for (const [event, action] of Object.entries(value)) element.addEventListener(event, action);
        else if (name in element && typeof value !== 'string') element[name] = value;
        else element.setAttribute(name, value);
    }
    element.append(...children.filter(child => child !== null));
    return element;
}
const section = (title, ...children) => {
    const element = make('section', {}, make('h2', {}, title), ...children);
    page.append(element);
    return element;
};
const text = number => number === null ? '-' : typeof number === 'string' ? number
    : Math.abs(number) >= 1e-4 && Math.abs(number) < 1e6 || number === 0 ? String(Number(number.toPrecision(6)))
    : number.toPrecision(4);
const limit = (value, low, high) => Math.min(Math.max(value, low), high);

function table(columns, rows, isNumber = () => false) {
    return make('div', { class: 'scroll', tabindex: '0' }, make('table', {},
        make('thead', {}, make('tr', {}, ...columns.map((name, column) =>
            make('th', { scope: 'col', class: isNumber(column) ? 'number' : '' }, name)))),
        make('tbody', {}, ...rows.map(cells => make('tr', {}, ...cells.map((cell, column) =>
            make('td', { class: isNumber(column) ? 'number' : '' }, cell)))))));
}

// MARK: Charts

function svg(tag, attributes, ...children) {
    const element = document.createElementNS('http://www.w3.org/2000/svg', tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.append(...children);
    return element;
}

function ticks(low, high, count) {
    const extent = high - low || Math.abs(high) || 1;
    const power = 10 ** Math.floor(Math.log10(extent / count));
    const step = [1, 2, 5, 10].map(factor => factor * power).find(step => extent / step <= count) ?? 10 * power;
    const marks = [];
    for (let mark = Math.ceil(low / step) * step; mark <= high + step * 1e-9; mark += step) marks.push(mark);
    return marks;
}

/** Curves over a common axis: logarithmic upwards if the values are positive and span a factor of ten. */
function lineChart(chart) {
    const [width, height, left, right, top, bottom] = [limit(page.clientWidth, 280, 480), 260, 58, 12, 12, 44];
    const points = chart.curves.flatMap(curve => curve.points);
    if (!points.length) return make('figure', {}, make('figcaption', {}, `${chart.title}: no values`));
    const range = index => points.reduce(
        ([low, high], point) => [Math.min(low, point[index]), Math.max(high, point[index])], [Infinity, -Infinity]);
    const [xLow, xHigh] = range(0), [yLow, yHigh] = range(1);
    const isLog = chart.logarithmic && yLow > 0 && yHigh >= 10 * yLow;
    const scale = value => isLog ? Math.log10(value) : value;
    const base = isLog ? scale(yLow) : Math.min(0, yLow), peak = Math.max(scale(yHigh), base + 1e-12);
    const x = value => left + (value - xLow) / (xHigh - xLow || 1) * (width - left - right);
    const y = value => height - bottom - (scale(value) - base) / (peak - base) * (height - top - bottom);
    const drawing = svg('svg', { viewBox: `0 0 ${width} ${height}`, role: 'img', 'aria-label': chart.title });
    const marks = isLog ? ticks(base, peak, 4).map(mark => 10 ** mark) : ticks(base, peak, 5);
    for (const mark of marks) drawing.append(
        svg('line', { x1: left, x2: width - right, y1: y(mark), y2: y(mark), stroke: 'var(--line)' }),
        svg('text', { x: left - 6, y: y(mark) + 4, 'text-anchor': 'end' }, text(Number(mark.toPrecision(3)))));
    for (const mark of ticks(xLow, xHigh, Math.floor((width - left) / 70))) drawing.append(
        svg('text', { x: x(mark), y: height - bottom + 16, 'text-anchor': 'middle' }, text(Number(mark.toPrecision(6)))));
    drawing.append(svg('text', { x: (left + width - right) / 2, y: height - 8, 'text-anchor': 'middle' }, chart.horizontal));
    chart.curves.forEach((curve, index) => drawing.append(svg('polyline', {
        points: curve.points.map(([a, b]) => `${x(a).toFixed(1)},${y(b).toFixed(1)}`).join(' '), fill: 'none',
        stroke: `var(--s${index % 4})`, 'stroke-width': 1.8, 'stroke-dasharray': ['', '6 3', '2 3', '8 3 2 3'][index % 4]
    })));
    const legend = make('div', { class: 'quiet' });
    chart.curves.forEach((curve, index) => {
        const entry = make('span', {}, `\u25AC ${curve.label}   `);
        entry.style.color = `var(--s${index % 4})`;
        legend.append(entry);
    });
    return make('figure', {}, make('h3', {}, chart.title), drawing, legend);
}

/** A point for each value by method, with the mean and its confidence interval. */
function stripChart(title, groups) {
    // As wide as the page, so that letters are not made smaller on a phone.
    const [width, left, right, row] = [limit(page.clientWidth, 280, 720), 96, 16, 46];
    const values = groups.flatMap(group => group.values.map(value => value.value));
    if (!values.length) return make('p', { class: 'quiet' }, 'No finite values.');
    const low = Math.min(...values), high = Math.max(...values), pad = (high - low || Math.abs(high) || 1) * 0.05;
    const height = groups.length * row + 34;
    const x = value => left + (value - low + pad) / (high - low + 2 * pad) * (width - left - right);
    const drawing = svg('svg', { viewBox: `0 0 ${width} ${height}`, role: 'img', 'aria-label': title });
    for (const mark of ticks(low - pad, high + pad, Math.floor((width - left) / 80))) drawing.append(
        svg('line', { x1: x(mark), x2: x(mark), y1: 4, y2: height - 26, stroke: 'var(--line)' }),
        svg('text', { x: x(mark), y: height - 8, 'text-anchor': 'middle' }, text(Number(mark.toPrecision(6)))));
    groups.forEach((group, index) => {
        const middle = index * row + row / 2 + 4, colour = `var(--s${index % 4})`;
        drawing.append(svg('text', { x: 4, y: middle + 4 }, group.name || 'all'));
        group.values.forEach((value, place) => drawing.append(svg('circle', {
            cx: x(value.value), cy: middle + (place * 7 % 5 - 2) * 3, r: 4, fill: colour, 'fill-opacity': 0.55
        }, svg('title', {}, `${value.name}: ${text(value.value)}`))));
        if (group.mean !== null) drawing.append(
            svg('line', { x1: x(group.low), x2: x(group.high), y1: middle, y2: middle, stroke: 'var(--text)', 'stroke-width': 2 }),
            svg('line', { x1: x(group.mean), x2: x(group.mean), y1: middle - 12, y2: middle + 12, stroke: 'var(--text)', 'stroke-width': 3 }));
    });
    return drawing;
}

// MARK: Volumes

/** The bytes of a volume: gzip in base64. */
async function unpack(id) {
    const binary = atob(document.getElementById(id).textContent.trim());
    const bytes = new Uint8Array(binary.length);
    for (let index = 0; index < binary.length; index++) bytes[index] = binary.charCodeAt(index);
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('gzip'));
    return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** Blue for negative, white for none, red for positive: from -1 to 1. */
function diverging(share) {
    const stops = [[33, 102, 172], [103, 169, 207], [209, 229, 240], [247, 247, 247], [253, 219, 199], [239, 138, 98],
        [178, 24, 43]];
    const position = (limit(share, -1, 1) + 1) / 2 * (stops.length - 1), index = Math.min(Math.floor(position), stops.length - 2);
    return stops[index].map((channel, place) => Math.round(channel + (position - index) * (stops[index + 1][place] - channel)));
}

class Viewer {
    static planes = [
        { name: 'Axial', across: 0, down: 1, normal: 2, letter: 'z' },
        { name: 'Coronal', across: 0, down: 2, normal: 1, letter: 'y' },
        { name: 'Sagittal', across: 1, down: 2, normal: 0, letter: 'x' }];

    constructor(volumes) {
        this.shape = data.viewer.shape;
        this.spacing = data.viewer.spacing;
        this.origin = data.viewer.origin;
        this.volumes = volumes.filter(volume => volume.kind !== 'mask');
        // Outside the mask nothing is compared.
        this.mask = volumes.find(volume => volume.kind === 'mask')?.bytes;
        volumes = this.volumes;
        this.radiological = data.viewer.radiological;
        this.zoom = 1;
        this.centre = data.viewer.start;
        this.voxel = [...this.centre];
        this.windows = volumes.map(volume => volume.window ? [...volume.window] : null);
        this.shared = volumes.findIndex(volume => volume.name === 'Reference' || volume.name === 'Result');
        this.difference = data.viewer.difference;
        this.views = [];
        this.pending = false;
    }

    /** The intensity of a volume at a voxel, as precise as its 256 levels. */
    value(volume, offset) {
        if (volume.kind !== 'difference') return volume.low + volume.bytes[offset] / 255 * (volume.high - volume.low);
        if (this.mask && !this.mask[offset]) return NaN;
        return this.value(this.volumes[volume.of[0]], offset) - this.value(this.volumes[volume.of[1]], offset);
    }

    reading(volume, offset) {
        const value = this.value(volume, offset);
        return Number.isNaN(value) ? 'outside the mask' : text(Number(value.toPrecision(3)));
    }

    offset(voxel) { return (voxel[2] * this.shape[1] + voxel[1]) * this.shape[0] + voxel[0]; }

    millimetres(axis) { return this.origin[axis] + this.voxel[axis] * this.spacing[axis]; }

    isReversed(plane) { return plane.across === 1 || this.radiological; }

    move(voxel) {
        this.voxel = voxel.map((place, axis) => limit(Math.round(place), 0, this.shape[axis] - 1));
        this.draw();
    }

    /** A slice in pixels, one for each voxel. */
    pixels(volume, index, plane) {
        const [width, height] = [this.shape[plane.across], this.shape[plane.down]];
        const image = new ImageData(width, height);
        const strides = [1, this.shape[0], this.shape[0] * this.shape[1]];
        const reversed = this.isReversed(plane);
        const colours = this.colours(volume, index);
        const start = this.voxel[plane.normal] * strides[plane.normal];
        for (let row = 0; row < height; row++) {
            const line = start + (height - 1 - row) * strides[plane.down];
            for (let column = 0; column < width; column++) {
                const offset = line + (reversed ? width - 1 - column : column) * strides[plane.across];
                const colour = colours(offset), place = 4 * (row * width + column);
                image.data[place] = colour[0];
                image.data[place + 1] = colour[1];
                image.data[place + 2] = colour[2];
                image.data[place + 3] = 255;
            }
        }
        return image;
    }

    /** The colour of each voxel of a volume. */
    colours(volume, index) {
        if (volume.kind === 'difference') {
            const [first, second] = volume.of.map(other => this.volumes[other]);
            const gain = (first.high - first.low) / 255 / this.difference;
            const table = Array.from({ length: 511 }, (_, step) => diverging((step - 255) * gain));
            const outside = [128, 128, 128];
            return offset => this.mask && !this.mask[offset] ? outside : table[first.bytes[offset] - second.bytes[offset] + 255];
        }
        const [low, high] = this.windows[index];
        const table = Array.from({ length: 256 }, (_, level) => {
            const value = volume.low + level / 255 * (volume.high - volume.low);
            const grey = Math.round(limit((value - low) / (high - low || 1), 0, 1) * 255);
            return [grey, grey, grey];
        });
        return offset => table[volume.bytes[offset]];
    }

    draw() {
        if (this.pending) return;
        this.pending = true;
        requestAnimationFrame(() => { this.pending = false; this.drawNow(); });
    }

    drawNow() {
        for (const view of this.views) this.drawView(view);
        for (const plane of Viewer.planes) {
            const place = this.voxel[plane.normal];
            plane.slider.value = place;
            plane.label.textContent = `${plane.name}: ${plane.letter} = ${this.millimetres(plane.normal).toFixed(1)} mm`
                + ` (slice ${place + 1} of ${this.shape[plane.normal]})`;
        }
        const offset = this.offset(this.voxel);
        this.readout.textContent = [0, 1, 2].map(axis => this.millimetres(axis).toFixed(1)).join(', ') + ' mm (R, A, S)   '
            + this.volumes.map(volume => `${volume.name} ${this.reading(volume, offset)}`).join('   ');
        this.drawScale();
    }

    /** Where a view's voxels lie on its canvas: the position of the first, and the pixels for each. */
    place(view) {
        const { canvas, plane } = view;
        const [width, height] = [this.shape[plane.across], this.shape[plane.down]];
        const scale = [canvas.width / width * this.zoom, canvas.height / height * this.zoom];
        const column = this.isReversed(plane) ? width - 1 - this.voxel[plane.across] : this.voxel[plane.across];
        const row = height - 1 - this.voxel[plane.down];
        return {
            column, row, scale,
            left: limit(canvas.width / 2 - (column + 0.5) * scale[0], canvas.width - width * scale[0], 0),
            top: limit(canvas.height / 2 - (row + 0.5) * scale[1], canvas.height - height * scale[1], 0)
        };
    }

    drawView(view) {
        const { canvas, plane, index } = view, context = canvas.getContext('2d');
        const image = this.pixels(this.volumes[index], index, plane);
        view.buffer.getContext('2d').putImageData(image, 0, 0);
        const place = this.place(view);
        context.imageSmoothingEnabled = false;
        context.drawImage(view.buffer, place.left, place.top, image.width * place.scale[0], image.height * place.scale[1]);
        const isLight = this.volumes[index].kind === 'difference';
        const x = Math.round(place.left + (place.column + 0.5) * place.scale[0]) + 0.5;
        const y = Math.round(place.top + (place.row + 0.5) * place.scale[1]) + 0.5;
        if (this.cross) {
            context.strokeStyle = isLight ? 'rgba(0, 110, 60, .8)' : 'rgba(90, 220, 140, .8)';
            context.lineWidth = 1;
            context.beginPath();
            for (const [from, to] of [[0, x - 8], [x + 8, canvas.width]]) { context.moveTo(from, y); context.lineTo(to, y); }
            for (const [from, to] of [[0, y - 8], [y + 8, canvas.height]]) { context.moveTo(x, from); context.lineTo(x, to); }
            context.stroke();
        }
        const size = Math.max(11, Math.round(canvas.width / 16));
        context.font = `${size}px sans-serif`;
        context.fillStyle = isLight ? '#000' : '#fff';
        const [left, right] = plane.across === 1 ? ['A', 'P'] : this.radiological ? ['R', 'L'] : ['L', 'R'];
        context.textAlign = 'left';
        context.fillText(left, 4, size + 2);
        context.textAlign = 'right';
        context.fillText(right, canvas.width - 4, size + 2);
        canvas.setAttribute('aria-label', `${this.volumes[index].name}, ${plane.name.toLowerCase()} slice`
            + ` at ${plane.letter} = ${this.millimetres(plane.normal).toFixed(1)} mm`);
    }

    drawScale() {
        const bar = this.scaleBar;
        if (!bar) return;
        const context = bar.getContext('2d');
        for (let column = 0; column < bar.width; column++) {
            context.fillStyle = `rgb(${diverging(2 * column / (bar.width - 1) - 1).join(',')})`;
            context.fillRect(column, 0, 1, bar.height);
        }
        this.scaleLow.textContent = text(Number((-this.difference).toPrecision(3)));
        this.scaleHigh.textContent = '+' + text(Number(this.difference.toPrecision(3)));
    }

    // MARK: Controls

    build() {
        const range = (label, low, high, step, value, action) => {
            const input = make('input', { type: 'range', min: String(low), max: String(high), step: String(step) });
            input.value = value;
            input.addEventListener('input', () => { action(Number(input.value)); this.draw(); });
            return [make('div', {}, make('label', {}, label, input)), input];
        };
        this.readout = make('output', { class: 'bar', 'aria-live': 'polite' });
        this.readout.style.display = 'block';
        this.readout.style.whiteSpace = 'pre-wrap';
        const main = this.volumes[this.shared], extent = main.high - main.low;
        const grey = this.volumes.map((volume, index) => index).filter(index => this.windows[index]);
        const together = grey.filter(index => this.volumes[index].unit === main.unit);
        const setWindow = () => {
            const [low, high] = [Number(this.lowInput.value), Number(this.highInput.value)];
            for (const index of together) this.windows[index] = [low, Math.max(high, low + extent / 255)];
        };
        const [lowControl, lowInput] = range('Black at', main.low, main.high, extent / 255, main.low, setWindow);
        const [highControl, highInput] = range('White at', main.low, main.high, extent / 255, main.high, setWindow);
        [this.lowInput, this.highInput] = [lowInput, highInput];
        const [zoomControl, zoomInput] = range('Zoom', 1, 8, 0.25, 1, value => { this.zoom = value; });
        this.zoomInput = zoomInput;
        const controls = make('div', { class: 'controls' }, lowControl, highControl, zoomControl);
        const hasDifference = this.volumes.some(volume => volume.kind === 'difference');
        if (hasDifference) {
            const [control, input] = range('Difference up to', extent / 100, extent, extent / 100, this.difference,
                value => { this.difference = value; });
            this.differenceInput = input;
            controls.append(control);
        }
        this.cross = true;
        const toggle = (label, isOn, action) => {
            const button = make('button', { type: 'button', 'aria-pressed': String(isOn) }, label);
            button.addEventListener('click', () => {
                const next = button.getAttribute('aria-pressed') !== 'true';
                button.setAttribute('aria-pressed', String(next));
                action(next);
                this.draw();
            });
            return button;
        };
        const buttons = make('div', { class: 'buttons' },
            toggle('Cross-hair', true, isOn => { this.cross = isOn; }),
            toggle("Patient's right on the left", this.radiological, isOn => { this.radiological = isOn; }),
            make('button', { type: 'button', on: { click: () => this.reset() } }, 'Reset'));
        const element = section('Slices', this.readout, controls, buttons);
        for (const plane of Viewer.planes) element.append(this.buildPlane(plane));
        if (hasDifference) {
            this.scaleBar = make('canvas', { width: 256, height: 12, 'aria-hidden': 'true' });
            [this.scaleLow, this.scaleHigh] = [make('span'), make('span')];
            element.append(make('p', { class: 'scale' }, 'Difference, result - reference:', this.scaleLow, this.scaleBar,
                this.scaleHigh));
        }
        element.append(make('p', { class: 'quiet' }, 'In a view: ', make('kbd', {}, 'arrows'), ' move the cross-hair, ',
            make('kbd', {}, 'Page Up'), ' ', make('kbd', {}, 'Page Down'), ' change the slice, ', make('kbd', {}, '+'), ' ',
            make('kbd', {}, '-'), ' zoom, ', make('kbd', {}, '['), ' ', make('kbd', {}, ']'),
            ' narrow and widen the window, ', make('kbd', {}, 'Home'), ' resets. ' + data.viewer.note));
    }

    buildPlane(plane) {
        const last = this.shape[plane.normal] - 1;
        plane.slider = make('input', { type: 'range', min: '0', max: String(last), step: '1' });
        plane.slider.addEventListener('input', () => {
            const voxel = [...this.voxel];
            voxel[plane.normal] = Number(plane.slider.value);
            this.move(voxel);
        });
        plane.label = make('span');
        const views = make('div', { class: 'views' });
        views.style.setProperty('--columns', this.volumes.length);
        const [width, height] = [plane.across, plane.down].map(axis => this.shape[axis] * this.spacing[axis]);
        const finest = Math.min(...this.spacing);
        const scale = Math.max(1, Math.min(4, Math.round(420 * finest / width)));
        this.volumes.forEach((volume, index) => {
            const canvas = make('canvas', { tabindex: '0', role: 'img' });
            canvas.width = Math.max(1, Math.round(width / finest * scale));
            canvas.height = Math.max(1, Math.round(height / finest * scale));
            const buffer = document.createElement('canvas');
            [buffer.width, buffer.height] = [this.shape[plane.across], this.shape[plane.down]];
            const view = { canvas, buffer, plane, index };
            this.views.push(view);
            this.listen(view);
            views.append(make('figure', {}, canvas, make('figcaption', { title: volume.name }, volume.name)));
        });
        return make('div', {}, make('label', {}, make('h3', {}, plane.label), plane.slider), views);
    }

    listen(view) {
        const { canvas, plane } = view;
        const point = event => {
            const box = canvas.getBoundingClientRect(), place = this.place(view);
            const x = (event.clientX - box.left) / box.width * canvas.width;
            const y = (event.clientY - box.top) / box.height * canvas.height;
            const column = Math.floor((x - place.left) / place.scale[0]), row = Math.floor((y - place.top) / place.scale[1]);
            const voxel = [...this.voxel];
            voxel[plane.across] = this.isReversed(plane) ? this.shape[plane.across] - 1 - column : column;
            voxel[plane.down] = this.shape[plane.down] - 1 - row;
            this.move(voxel);
        };
        canvas.addEventListener('pointerdown', event => {
            if (event.pointerType === 'mouse') canvas.setPointerCapture(event.pointerId);
            point(event);
        });
        canvas.addEventListener('pointermove', event => { if (event.buttons === 1) point(event); });
        canvas.addEventListener('wheel', event => {
            if (!event.ctrlKey) return;
            event.preventDefault();
            this.setZoom(this.zoom * (event.deltaY < 0 ? 1.25 : 0.8));
        }, { passive: false });
        canvas.addEventListener('keydown', event => {
            const action = this.keys(plane)[event.key];
            if (!action || event.ctrlKey || event.altKey || event.metaKey) return;
            event.preventDefault();
            action();
        });
    }

    keys(plane) {
        const step = (axis, by) => () => {
            const voxel = [...this.voxel];
            voxel[axis] += by;
            this.move(voxel);
        };
        const right = this.isReversed(plane) ? -1 : 1;
        return {
            ArrowRight: step(plane.across, right), ArrowLeft: step(plane.across, -right),
            ArrowUp: step(plane.down, 1), ArrowDown: step(plane.down, -1),
            PageUp: step(plane.normal, 1), PageDown: step(plane.normal, -1),
            '+': () => this.setZoom(this.zoom * 1.25), '=': () => this.setZoom(this.zoom * 1.25),
            '-': () => this.setZoom(this.zoom * 0.8), '[': () => this.widen(0.9), ']': () => this.widen(1 / 0.9),
            Home: () => this.reset()
        };
    }

    setZoom(zoom) {
        this.zoom = limit(zoom, 1, 8);
        this.zoomInput.value = this.zoom;
        this.draw();
    }

    widen(factor) {
        const [low, high] = [Number(this.lowInput.value), Number(this.highInput.value)];
        const [middle, half] = [(low + high) / 2, (high - low) / 2 * factor];
        this.lowInput.value = middle - half;
        this.highInput.value = middle + half;
        this.lowInput.dispatchEvent(new Event('input'));
    }

    reset() {
        const main = this.volumes[this.shared];
        [this.lowInput.value, this.highInput.value] = [main.low, main.high];
        this.difference = data.viewer.difference;
        if (this.differenceInput) this.differenceInput.value = this.difference;
        this.lowInput.dispatchEvent(new Event('input'));
        this.volumes.forEach((volume, index) => { this.windows[index] = volume.window ? [...volume.window] : null; });
        this.setZoom(1);
        this.move(this.centre);
    }
}

// MARK: Cohorts

function cohort(results) {
    const { metrics, methods, rows, summaries, comparisons } = results;
    const choice = make('select', {}, ...metrics.map(metric => make('option', { value: metric.name }, metric.name)));
    choice.value = metrics.some(metric => metric.name === results.chosen) ? results.chosen : metrics[0]?.name ?? '';
    let sorting = { key: null, descending: false };
    const distribution = make('div'), definition = make('p', { class: 'quiet' }), worst = make('div', { class: 'worst' });
    const body = make('tbody'), head = make('tr');
    const shown = results.columns.filter(name => metrics.some(metric => metric.name === name));
    const cost = (row, name) => {
        const value = row.values[name], goal = metrics.find(metric => metric.name === name)?.goal;
        if (value === undefined || value === null) return Infinity;
        const number = Number(value);
        return goal === 'highest' ? -number : goal === 'lowest' ? number : Math.abs(number - goal);
    };
    const worstFirst = name => rows.map((row, index) => [row, index])
        .sort(([a, i], [b, j]) => cost(b, name) - cost(a, name) || i - j).map(([row]) => row);

    const update = () => {
        const name = choice.value, metric = metrics.find(metric => metric.name === name);
        definition.textContent = metric ? `${metric.name}: ${metric.definition}; ${metric.goal === 'lowest' ? 'lower is better'
            : metric.goal === 'highest' ? 'higher is better' : `best near ${metric.goal}`}.` : '';
        distribution.replaceChildren(stripChart(name, methods.map(method => {
            const summary = summaries.find(summary => summary.method === method && summary.metric === name);
            return {
                name: method, mean: summary?.mean ?? null, low: summary?.low ?? summary?.mean, high: summary?.high ?? summary?.mean,
                values: rows.filter(row => row.method === method && Number.isFinite(Number(row.values[name] ?? NaN)))
                    .map(row => ({ name: row.subject, value: Number(row.values[name]) }))
            };
        })));
        worst.replaceChildren(...worstFirst(name).filter(row => row.picture).slice(0, 6).map(row => make('figure', {},
            make('img', { src: row.picture, alt: `Slices of ${row.subject}: result, reference, difference`, loading: 'lazy' }),
            make('figcaption', {}, link(row), ` ${row.method}: ${name} ${text(row.values[name] ?? null)}`))));
        fill();
    };
    const link = row => row.link ? make('a', { href: row.link }, row.subject) : row.subject;
    const fill = () => {
        const ordered = sorting.key === null ? worstFirst(choice.value) : [...rows].sort((a, b) => {
            const [first, second] = [a, b].map(row => ['subject', 'method'].includes(sorting.key) ? row[sorting.key]
                : Number(row.values[sorting.key] ?? NaN));
            const order = typeof first === 'string' ? first.localeCompare(second, undefined, { numeric: true })
                : Number.isNaN(first) ? (Number.isNaN(second) ? 0 : 1) : Number.isNaN(second) ? -1 : first - second;
            return sorting.descending ? -order : order;
        });
        body.replaceChildren(...ordered.map(row => make('tr', {},
            make('td', {}, link(row)), ...(methods.length > 1 ? [make('td', {}, row.method)] : []),
            ...(row.failure ? [make('td', { colSpan: shown.length }, row.failure)]
                : shown.map(name => make('td', { class: 'number', title: row.reasons[name] ?? '' }, text(row.values[name] ?? null)))))));
        for (const cell of head.children) {
            const isSorted = cell.dataset.key === sorting.key;
            cell.setAttribute('aria-sort', isSorted ? sorting.descending ? 'descending' : 'ascending' : 'none');
        }
    };
    const column = (key, isNumber) => {
        const cell = make('th', { scope: 'col', class: isNumber ? 'number' : '' }, make('button', {
            type: 'button', on: { click: () => {
                sorting = { key, descending: sorting.key === key && !sorting.descending };
                fill();
            } }
        }, key));
        cell.dataset.key = key;
        return cell;
    };
    head.append(column('subject'), ...(methods.length > 1 ? [column('method')] : []), ...shown.map(name => column(name, true)));
    choice.addEventListener('change', () => { sorting = { key: null, descending: false }; update(); });

    section('Cohort', make('p', {}, make('label', {}, 'Metric ', choice)), definition, make('h3', {}, 'Distribution'),
        distribution, make('p', { class: 'quiet' }, 'A point for each subject; the bar is the mean with its 95 % confidence interval.'));
    if (rows.some(row => row.picture)) section('Worst subjects first', worst);
    section('Subjects', make('p', { class: 'quiet' }, 'Worst first by the metric above; select a column to sort by it.'),
        make('div', { class: 'scroll', tabindex: '0' }, make('table', {}, make('thead', {}, head), body)));
    section('Summary', table(['metric', ...(methods.length > 1 ? ['method'] : []), 'n', 'mean', 'sd', 'median', '95 % interval of the mean', 'missing'],
        summaries.map(summary => [summary.metric, ...(methods.length > 1 ? [summary.method] : []), String(summary.count),
            text(summary.mean), text(summary.sd), text(summary.median),
            summary.low === null ? '-' : `${text(summary.low)} to ${text(summary.high)}`, String(summary.missing)]),
        column => column >= (methods.length > 1 ? 2 : 1)));
    if (comparisons.length) section('Methods compared', table(
        ['metric', 'first', 'second', 'n', 'first - second', "Cohen's d", 'rank-biserial', 'p', 'p (Holm)'],
        comparisons.map(row => [row.metric, row.first, row.second, String(row.count), text(row.difference), text(row.d),
            text(row.r), text(row.p), text(row.holm)]), column => column > 2),
        make('p', { class: 'quiet' }, "p of Wilcoxon's signed-rank test, two-sided; corrected by Holm's method for all rows."));
    update();
}

// MARK: Page

async function build() {
    const header = document.querySelector('header');
    const themes = ['auto', 'light', 'dark'];
    let theme = 0;
    header.append(make('button', { type: 'button', id: 'theme', on: { click: event => {
        theme = (theme + 1) % 3;
        if (theme) document.documentElement.dataset.theme = themes[theme]; else delete document.documentElement.dataset.theme;
        event.target.textContent = `Colours: ${themes[theme]}`;
    } } }, 'Colours: auto'));
    if (data.summary) page.append(make('p', { class: 'quiet' }, data.summary));
    for (const warning of data.warnings) page.append(make('p', { class: 'warning' }, warning));
    let viewer = null;
    if (data.cohort) cohort(data.cohort);
    if (data.viewer) {
        const volumes = await Promise.all(data.viewer.volumes.map(async volume =>
            volume.kind === 'difference' ? volume : { ...volume, bytes: await unpack(volume.id) }));
        viewer = new Viewer(volumes);
        viewer.build();
        viewer.drawNow();
    }
    if (data.metrics.length) section('Metrics', table(['metric', 'value', 'definition (p: result, r: reference)'],
        data.metrics.map(metric => [metric.name, metric.value === null ? `- ${metric.reason}` : text(metric.value),
            metric.definition])));
    if (data.charts.length) section('Charts', make('div', { class: 'charts' }, ...data.charts.map(lineChart)));
    for (const picture of data.pictures) section(picture.caption, make('div', { class: 'pictures' },
        make('figure', {}, make('img', { src: picture.source, alt: picture.caption }))));
    if (data.facts.length) section('How it was made', make('div', { class: 'scroll' }, make('table', {}, make('tbody', {},
        ...data.facts.map(([name, value]) => make('tr', {}, make('th', { scope: 'row' }, name),
            make('td', { class: 'facts' }, value)))))));
    if (data.downloads.length) section('Files', make('p', {}, ...data.downloads.flatMap(([name, file]) =>
        [make('a', { href: file, download: '' }, name), ' \u00A0 '])));
    return viewer;
}

globalThis.report = build();
report.catch(error => page.append(make('p', { class: 'warning', role: 'alert' },
    `This page needs a browser of 2023 or later: ${error.message}`)));
