// SPDX-License-Identifier: MIT
// What `tilecast run --help` says of viewers; apart from what reads the options, so that a run without viewers loads none of their code.

export const viewHelp = `      --view VIEWER      show results while they are made; again for another. VIEWER is napari, fiji or web, with
                         options after a colon: napari:port=5560,show=image+shapes,channel=stack
                           port=N, transport=ipc|tcp, flavour=tilecast|openhcs, memory=2G, slots=N
                           show=image+labels+shapes+points+table, steps=NAME+NAME, policy=latest|wait, wait=SECONDS
                           well|site|channel|z_index|timepoint = stack|layer (napari), window|channel|slice|frame (fiji)
                           colormap=NAME, python=FILE (napari); lut=NAME, contrast=on|off, java=FILE, fiji=FOLDER (fiji)`;
