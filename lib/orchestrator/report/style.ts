// SPDX-License-Identifier: MIT
// The report's style sheet.

const light = `--ground:#f4f6f8;--card:#fff;--ink:#131a22;--soft:#586472;--line:#e1e6eb;--well:#eef1f4;--edge:#c3ccd5;--accent:#0b6f86;--accent-ground:#e2f2f5;
--good:#12694a;--good-ground:#dff3ea;--warn:#8a5300;--warn-ground:#fdf0d5;--bad:#b3261e;--bad-ground:#fde7e4;--code:#f4f6f8;--shadow:0 1px 2px rgb(16 24 32/.05),0 4px 16px rgb(16 24 32/.04);color-scheme:light`;

const dark = `--ground:#0c1014;--card:#14191f;--ink:#e7ecf1;--soft:#98a5b3;--line:#252d36;--well:#1d242c;--edge:#3a4653;--accent:#57c4da;--accent-ground:#12323a;
--good:#57cf9c;--good-ground:#11332a;--warn:#eab75a;--warn-ground:#38290f;--bad:#ff8b82;--bad-ground:#421a18;--code:#0e1317;--shadow:none;color-scheme:dark`;

/** Hues of the stages: distinguishable for common colour-vision deficiencies (after P. Tol's "bright" scheme), same in light and dark. */
const hues = ["#4477aa", "#66ccee", "#228833", "#ccbb44", "#ee6677", "#aa3377", "#e39b57", "#8f9aa6"];

export const style = `
:root{${light}}
@media (prefers-color-scheme:dark){:root:not([data-theme=light]){${dark}}}
:root[data-theme=dark]{${dark}}
*{box-sizing:border-box}
[hidden]{display:none!important}
html{scroll-behavior:smooth;scroll-padding-top:16px;-webkit-text-size-adjust:100%}
@media (prefers-reduced-motion:reduce){html{scroll-behavior:auto}*{transition:none!important;animation:none!important}}
body{margin:0;background:var(--ground);color:var(--ink);font:15px/1.55 ui-sans-serif,system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,"DejaVu Sans",sans-serif;font-variant-numeric:tabular-nums}
header.top,main,footer{max-width:1280px;margin:0 auto;padding:0 28px}
h1,h2,h3,p,dl,dd,ol,ul,figure{margin:0;padding:0}
h1{font-size:34px;line-height:1.15;letter-spacing:-.02em;font-weight:680;overflow-wrap:anywhere}
h2{font-size:18px;line-height:1.3;letter-spacing:-.01em;font-weight:650}
h2 .quiet{font-weight:400;font-size:15px;margin-left:4px}
h3{font-size:13px;font-weight:600;color:var(--soft);margin:0 0 8px}
a{color:var(--accent);text-underline-offset:2px;text-decoration-thickness:1px}
code,pre,.path{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;font-size:.87em}
:focus-visible{outline:2px solid var(--accent);outline-offset:2px;border-radius:4px}
.quiet{color:var(--soft);font-size:13.5px}
.hide{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap}
.skip{position:absolute;left:-999px}.skip:focus{left:12px;top:12px;z-index:9;background:var(--card);padding:8px 14px;border-radius:8px}
.bar{display:flex;align-items:center;gap:24px;padding:20px 0 0}
.brand{display:flex;align-items:center;gap:9px;font-weight:680;letter-spacing:-.01em;margin-right:auto;white-space:nowrap}
.brand span{font-weight:400;color:var(--soft)}
.brand svg{width:18px;fill:var(--accent)}
nav{display:flex;gap:4px 20px;flex-wrap:wrap}
nav a{color:var(--soft);text-decoration:none;font-size:14px;padding:2px 0}
nav a:hover{color:var(--ink)}
.count{display:inline-block;background:var(--bad-ground);color:var(--bad);border-radius:9px;padding:0 7px;font-size:12px;line-height:18px;font-weight:600}
.icon{display:inline-grid;place-items:center;width:34px;height:34px;padding:0;border:1px solid var(--line);border-radius:9px;background:var(--card);color:var(--soft);cursor:pointer}
.icon:hover{color:var(--ink);border-color:var(--edge)}
.icon svg{width:16px;fill:currentColor}
.stroke{fill:none;stroke:currentColor;stroke-width:1.7;stroke-linecap:round;stroke-linejoin:round}
.title{padding:34px 0 26px}
.outcome{display:inline-flex;align-items:center;gap:7px;border-radius:99px;padding:3px 13px 3px 9px;font-size:13.5px;font-weight:600;margin-bottom:12px}
.outcome svg{width:16px;fill:none;stroke:currentColor;stroke-width:2;stroke-linecap:round;stroke-linejoin:round}
.complete{background:var(--good-ground);color:var(--good)}.incomplete{background:var(--warn-ground);color:var(--warn)}.cancelled.outcome{background:var(--well);color:var(--soft)}
.lead{font-size:17px;margin-top:8px}.lead .quiet{font-size:14.5px;margin-left:6px}
.figures{display:grid;grid-template-columns:repeat(6,1fr);background:var(--card);border:1px solid var(--line);border-radius:14px;box-shadow:var(--shadow);overflow:hidden}
.figure{padding:16px 20px;border-left:1px solid var(--line);margin-left:-1px;min-width:0}
.figure dt{font-size:13px;color:var(--soft)}
.figure dd{font-size:23px;line-height:1.25;font-weight:640;letter-spacing:-.015em;white-space:nowrap}
.figure .note{font-size:13px;font-weight:400;letter-spacing:0;color:var(--soft);margin-top:3px;white-space:normal}
.figure .bad{color:var(--bad)}
main{padding-top:20px;display:grid;gap:20px;grid-template-columns:minmax(0,1fr)}
.card{background:var(--card);border:1px solid var(--line);border-radius:14px;box-shadow:var(--shadow);padding:22px 24px 24px;min-width:0}
.card>h2{margin-bottom:12px}
.card-head{display:flex;flex-wrap:wrap;align-items:center;justify-content:space-between;gap:10px 20px;margin-bottom:16px}
.scroll{overflow-x:auto}
.tall{max-height:420px;overflow:auto;border:1px solid var(--line);border-radius:10px}
.columns{display:grid;grid-template-columns:minmax(0,1fr) minmax(0,1fr);gap:24px 44px}
.field{display:flex;align-items:center;gap:10px;font-size:13.5px;color:var(--soft);min-width:0}
select{font:inherit;font-size:14px;color:var(--ink);background:var(--card);border:1px solid var(--edge);border-radius:9px;padding:6px 10px;max-width:min(320px,60vw);cursor:pointer}
.plate-layout{display:grid;grid-template-columns:minmax(0,1fr) 264px;gap:32px;align-items:center}
.plate{display:block;width:100%;max-width:max(520px,calc(var(--plate-width)*3.1px));max-height:660px;margin:0 auto;user-select:none}
.plate .frame,.absent,.well rect{vector-effect:non-scaling-stroke}
.plate .frame{fill:none;stroke:var(--edge);stroke-width:1.6}
.plate .labels{font-size:var(--label);fill:var(--soft)}
.absent{fill:none;stroke:var(--edge);stroke-width:1;stroke-dasharray:3 3;opacity:.8}
.well{cursor:pointer;outline:none}
.well rect{fill:var(--well);stroke:color-mix(in srgb,var(--ink) 22%,transparent);stroke-width:1}
.well.failed.blank rect{fill:url(#hatch);stroke:var(--bad)}
.well.cancelled.blank rect,.well.pending.blank rect{stroke:var(--soft);stroke-dasharray:4 3}
.well:hover rect{stroke:var(--ink);stroke-width:2}
.well:focus-visible rect,.well.marked rect{stroke:var(--ink);stroke-width:3}
.well:focus-visible rect{stroke:var(--accent)}
.hatch-ground{fill:var(--bad-ground)}.hatch-line{fill:color-mix(in srgb,var(--bad) 38%,transparent)}
.cross,.halo,.dash{fill:none;stroke-linecap:round;pointer-events:none}
.halo{stroke:var(--card);stroke-width:4}.cross{stroke:var(--bad);stroke-width:2}.dash{stroke:var(--soft);stroke-width:2}
.corner{fill:var(--bad);stroke:var(--card);stroke-width:.8;pointer-events:none}
.legend{display:block;width:100%;max-width:300px;overflow:visible;font-size:11px}
.legend text{fill:var(--soft)}.legend line{stroke:var(--edge)}
#legend-histogram{fill:var(--edge)}#legend-mark{fill:var(--ink)}
.legend-name{font-weight:600;margin-bottom:10px;overflow-wrap:anywhere}
.plate-side .quiet{margin-top:10px}
.key{list-style:none;display:grid;gap:5px;margin-top:16px;font-size:13.5px}
.key li{display:flex;align-items:center;gap:9px}
.key i{position:relative;flex:none;width:14px;height:14px;border-radius:50%;border:1px solid var(--edge);background:var(--well);font:700 11px/12px sans-serif;text-align:center}
.key .key-failed{background:var(--bad-ground);border-color:var(--bad);color:var(--bad)}.key-failed::after{content:"\\00d7"}
.key .key-pending{border-style:dashed;border-color:var(--soft)}.key-pending::after{content:"\\2013";color:var(--soft)}
.key .key-absent{background:none;border-style:dashed}
.key .key-partly{overflow:hidden}.key-partly::after{content:"";position:absolute;right:0;top:0;border:4px solid var(--bad);border-left-color:transparent;border-bottom-color:transparent}
.controls{display:flex;flex-wrap:wrap;align-items:center;gap:10px 18px}
.segments{display:flex;flex-wrap:wrap;border:1px solid var(--edge);border-radius:9px;margin:0;padding:2px;min-width:0}
.segments label{cursor:pointer}
.segments input,.switch input{position:absolute;opacity:0;pointer-events:none}
.segments span{display:flex;align-items:center;gap:7px;padding:3px 12px;border-radius:6px;font-size:13.5px;color:var(--soft)}
.segments :checked+span{background:var(--accent-ground);color:var(--ink);font-weight:600}
.segments :focus-visible+span,.switch :focus-visible+span{outline:2px solid var(--accent);outline-offset:1px}
.dot{width:9px;height:9px;border-radius:50%;box-shadow:0 0 0 1px rgb(0 0 0/.2)}
.switch{cursor:pointer;font-size:13.5px}
.switch span{display:flex;align-items:center;gap:8px;border-radius:6px}
.switch span::before{content:"";width:30px;height:18px;border-radius:9px;background:radial-gradient(circle at 9px 9px,var(--card) 6px,transparent 6.5px) var(--edge);transition:background-position .12s}
.switch :checked+span::before{background:radial-gradient(circle at 21px 9px,var(--card) 6px,transparent 6.5px) var(--accent)}
.montage{display:grid;gap:10px;grid-template-columns:repeat(var(--columns),minmax(var(--least),210px));padding:3px}
.montage:not(.placed){grid-template-columns:repeat(auto-fill,minmax(max(var(--least),84px),1fr))}
.montage.dense{gap:3px}
.tile{all:unset;box-sizing:border-box;cursor:zoom-in;min-width:0;border-radius:8px;content-visibility:auto;contain-intrinsic-size:auto 110px}
.tile:focus-visible{outline:2px solid var(--accent);outline-offset:2px}
.pic{position:relative;display:block;overflow:hidden;border-radius:8px;background:#000;isolation:isolate}
.dense .pic{border-radius:4px}.dense .outline{opacity:.5}
.pic{outline:0 solid var(--accent)}.flawed .pic{outline:2px solid var(--bad);outline-offset:-2px}.waiting .pic{outline:1px dashed var(--edge);outline-offset:-1px}
.tile:hover .pic{outline:2px solid #35d0ea;outline-offset:-2px}.tile.marked .pic{outline:4px solid #35d0ea;outline-offset:-4px}
.pic img{display:block;width:100%;height:100%}
.layer,.outline{position:absolute;inset:0;display:none}
[data-view=composite] .layer{display:block;mix-blend-mode:screen;isolation:isolate}
[data-view=composite] .layer::after{content:"";position:absolute;inset:0;background:var(--tint);mix-blend-mode:multiply}
[data-view=composite] .outline{display:block}
.outline{opacity:.65}.well-body .outline{opacity:.9}
.no-outlines .outline{display:none!important}
.c0{--tint:var(--tint-0)}.c1{--tint:var(--tint-1)}.c2{--tint:var(--tint-2)}.c3{--tint:var(--tint-3)}.c4{--tint:var(--tint-4)}.c5{--tint:var(--tint-5)}.c6{--tint:var(--tint-6)}.c7{--tint:var(--tint-7)}
.pic.empty{aspect-ratio:1;display:grid;place-items:center;background:repeating-linear-gradient(45deg,var(--bad-ground) 0 5px,transparent 5px 10px) var(--well);color:var(--bad);font-size:12px;text-align:center}
.waiting .pic.empty{background:var(--well);color:var(--soft)}
.dense .pic.empty span{font-size:9px}
.caption{display:flex;justify-content:space-between;gap:6px;font-size:12px;line-height:1.3;padding:4px 2px 0;white-space:nowrap;overflow:hidden}
.caption span{color:var(--soft);overflow:hidden;text-overflow:ellipsis}
.flawed .caption span{color:var(--bad)}
.dense .caption{font-size:9.5px;padding:1px 1px 0}.dense .caption span{display:none}.tiny .caption{font-size:8.5px}
.montage+*,.scroll+.quiet{margin-top:14px}
.chart{margin-bottom:12px}.chart figcaption{font-size:13.5px}.chart svg{display:block;width:100%}
.grid line{stroke:var(--line)}
.ticks{font-size:11.5px;fill:var(--soft)}
.line{fill:none;stroke-width:2;stroke-linejoin:round}.line.planes{stroke:var(--accent)}.line.bytes{stroke:#b5651d}
.area{opacity:.13}.area.planes{fill:var(--accent)}.area.bytes{fill:#b5651d}
.stages{display:flex;gap:2px;height:26px;border-radius:8px;overflow:hidden;margin:4px 0 14px}
.stages span{min-width:2px;flex-basis:0}
.swatch{display:inline-block;width:10px;height:10px;border-radius:3px;margin-right:9px}
${hues.map((h, i) => `.hue-${i}{background:${h}}`).join("")}
table{border-collapse:collapse;width:100%;font-size:14px}
th,td{text-align:left;vertical-align:top;padding:7px 12px 7px 0;border-bottom:1px solid var(--line);font-weight:400}
thead th{color:var(--soft);font-size:12.5px}
tbody tr:last-child>*{border-bottom:0}
.stage-table td,.stage-table th+th{text-align:right}.stage-table :last-child{padding-right:0}
.stage-table+.quiet{margin-top:10px}
.failures th,.failures td{padding:8px 14px}
.failures thead th{position:sticky;top:0;background:var(--card);box-shadow:inset 0 -1px var(--line)}
.failures td{overflow-wrap:anywhere}.failures td:nth-child(2),.failures code{white-space:nowrap}
.path{color:var(--soft)}
.chips{list-style:none;display:flex;flex-wrap:wrap;gap:6px;font-size:13px}
.chips li{background:var(--bad-ground);color:var(--bad);border-radius:7px;padding:2px 10px}
.notices{padding-left:20px;display:grid;gap:4px}
.steps{list-style:none;counter-reset:step;display:grid;gap:0;margin-top:10px}
.steps li{counter-increment:step;position:relative;padding:0 0 14px 38px;display:grid;gap:1px;overflow-wrap:anywhere}
.steps li::before{content:counter(step);position:absolute;left:0;top:0;width:24px;height:24px;border-radius:50%;background:var(--accent-ground);color:var(--accent);font-size:12.5px;font-weight:650;line-height:24px;text-align:center}
.steps li:not(:last-child)::after{content:"";position:absolute;left:11.5px;top:28px;bottom:4px;width:1px;background:var(--edge)}
.steps code{color:var(--soft)}
.facts{display:grid;grid-template-columns:auto minmax(0,1fr);gap:5px 22px;font-size:14px;margin-top:10px}
.facts dt{color:var(--soft)}.facts dd{overflow-wrap:anywhere}
#run>h3{margin-top:20px}
.snippets{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,340px),1fr));gap:16px;margin-top:14px}
.snippets>div{display:flex;flex-direction:column;min-width:0}.snippets .code{flex:1}
.code{position:relative;background:var(--code);border:1px solid var(--line);border-radius:10px}
.code pre{margin:0;padding:14px 16px;overflow-x:auto;line-height:1.6}
.copy{position:absolute;right:8px;top:8px;font:inherit;font-size:12px;color:var(--soft);background:var(--card);border:1px solid var(--line);border-radius:7px;padding:2px 10px;cursor:pointer;opacity:0}
.code:hover .copy,.copy:focus-visible{opacity:1}
#open>h3{margin-top:18px}
.files{list-style:none;display:flex;flex-wrap:wrap;gap:6px 20px}
footer{padding-top:22px;padding-bottom:40px;color:var(--soft);font-size:13px}
#tip{position:fixed;z-index:5;left:0;top:0;display:flex;gap:12px;align-items:center;max-width:320px;padding:8px 14px 8px 8px;border-radius:11px;background:var(--card);color:var(--ink);border:1px solid var(--edge);box-shadow:0 6px 24px rgb(0 0 0/.2);font-size:13px;line-height:1.4;pointer-events:none}
#tip>div:last-child{display:grid}#tip-name{font-size:14px}#tip-picture .pic{width:84px}#tip-picture:empty+div{padding-left:6px}
dialog{width:min(980px,calc(100vw - 32px));max-height:calc(100vh - 32px);padding:20px 24px 24px;border:1px solid var(--line);border-radius:16px;background:var(--card);color:var(--ink);box-shadow:0 24px 80px rgb(0 0 0/.4)}
dialog::backdrop{background:rgb(8 12 16/.6)}
.well-head{display:flex;align-items:center;gap:12px;margin-bottom:16px}.well-head h2{font-size:22px}.well-buttons{margin-left:auto;display:flex;gap:6px}
.well-body{display:grid;grid-template-columns:minmax(0,1.25fr) minmax(0,1fr);gap:24px;align-items:start}
.well-body .pic{border-radius:10px}.well-body td{text-align:right;padding-right:0;font-weight:600}
#well-failures{padding-left:18px;color:var(--bad);font-size:13.5px;margin-top:12px;overflow-wrap:anywhere}#well-failures:empty{display:none}
@media (max-width:1020px){.figures{grid-template-columns:repeat(3,1fr)}.figure:nth-child(n+4){border-top:1px solid var(--line)}.plate-layout{grid-template-columns:minmax(0,1fr);gap:20px}.plate-side{max-width:420px}}
@media (max-width:760px){.columns,.well-body{grid-template-columns:minmax(0,1fr)}}
@media (max-width:620px){.plate .labels{font-size:min(11px,calc(var(--label)*1.9))}nav a{font-size:13.5px}body{font-size:14.5px}header.top,main,footer{padding-left:14px;padding-right:14px}.card{padding:18px 16px 20px}.bar{flex-wrap:wrap;gap:10px 14px}.bar nav{order:3;width:100%;gap:4px 13px}.title{padding:24px 0 20px}h1{font-size:27px}.lead .quiet{display:block;margin:4px 0 0}.figures{grid-template-columns:repeat(2,1fr)}.figure:nth-child(n+3){border-top:1px solid var(--line)}.figure dd{font-size:20px}.montage.placed:not(.dense){grid-template-columns:repeat(auto-fill,minmax(92px,1fr))}.placed:not(.dense) .tile{grid-area:auto!important}.failures thead{display:none}.failures tr{display:block;padding:10px 0;border-bottom:1px solid var(--line)}.failures th,.failures td{display:block;border:0;padding:1px 14px}.ticks{font-size:17px}}
@media print{:root,:root:not([data-theme=light]),:root[data-theme=dark]{${light};--ground:#fff}body{font-size:11px;-webkit-print-color-adjust:exact;print-color-adjust:exact}nav,.icon,.skip,#tip,dialog,.controls,.copy{display:none!important}.bar{padding-top:0}.title{padding:14px 0}.card{break-inside:avoid;box-shadow:none;padding:14px}#montage,#failures{break-inside:auto}.tile{break-inside:avoid;content-visibility:visible}.plate{max-height:none}.tall{max-height:none}.scroll{overflow:visible}.caption{font-size:8px;gap:2px}.montage.placed{grid-template-columns:repeat(var(--columns),minmax(0,1fr))}header.top,main,footer{max-width:none;padding:0}}
`;
