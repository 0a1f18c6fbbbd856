"""Makes a flake out of the README's pieces of Nix, each as it is written there: readme.py README FOLDER

FOLDER gets a flake.nix that has every piece as a machine or a package, beside an index with the model that the pieces
name, and the model's files as the Hub would have them.
"""

import hashlib
import json
import os
import re
import sys

HEAD = """{
  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-26.05";
  inputs.hallmark.url = "git+https://git.example.org/hallmark";
  outputs =
    { self, nixpkgs, hallmark, ... }:
    let
      inherit (nixpkgs) lib;
      pkgs = nixpkgs.legacyPackages.x86_64-linux;
      config = self.nixosConfigurations.base.config;
      base.services.models = {
        enable = true;
        indexPath = ./index.json;
        deployedModels = [ "ajna-insight-v2" ];
      };
      machine = module: lib.nixosSystem {
        system = "x86_64-linux";
        modules = [ hallmark.nixosModules.default base module ];
      };
      shown = value: pkgs.writeText "value" (builtins.toJSON value);
      origin = "@origin@";
      from = { inherit pkgs; index = ./index.json; id = "ajna-insight-v2"; endpoint = "file://${origin}"; };
    in
    {
      # Built for real, by the README's calls and the Hub's files.
      packages.x86_64-linux = {
        artifact = hallmark.lib.fetchModel from;
        folder = hallmark.lib.fetchModel (from // { layout = "folder"; });
        all = pkgs.linkFarm "all" (lib.mapAttrsToList (name: path: { inherit name path; }) (
          hallmark.lib.fetchModels { inherit pkgs config; inherit (from) endpoint; }
        ));
      };
      nixosConfigurations.base = machine { };
"""


def pieces(readme):
    """Returns the pieces of Nix in the section about NixOS, without the whole flake at its head."""
    section = re.search(r"^## On NixOS$(.*?)^## ", readme, flags=re.M | re.S).group(1)
    section = re.sub(r"<!-- a whole flake -->\n```nix\n.*?^```$", "", section, flags=re.M | re.S)
    return re.findall(r"^```nix\n(.*?)^```$", section, flags=re.M | re.S)


def put(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as file:
        file.write(text)


def main(readme, folder):
    found = pieces(open(readme).read())
    calls = [line for piece in found for line in piece.split("\n") if line.startswith("hallmark.lib.")]
    modules = [piece for piece in found if not piece.startswith("hallmark.lib.")]
    assert len(calls) >= 3 and len(modules) >= 4, f"the README has {len(calls)} calls and {len(modules)} modules"
    lines = []
    for number, piece in enumerate(modules):
        module = piece if piece.startswith("{") else "{ config, lib, pkgs, ... }: {\n" + piece + "}"
        lines.append(f"nixosConfigurations.piece-{number} = machine ({module});")
    for number, call in enumerate(calls):
        # A comment ends with its line.
        lines.append(f"checks.x86_64-linux.call-{number} = shown ({call}\n);")
    commit = "0123456789abcdef0123456789abcdef01234567"
    files = {"model.gguf": "weights", "config.json": "{}"}
    origin = os.path.join(folder, "origin")
    for name, text in files.items():
        put(f"{origin}/org/ajna/resolve/{commit}/{name}", text)
    told = lambda name: {"sha256": hashlib.sha256(files[name].encode()).hexdigest(), "sizeBytes": len(files[name])}
    artifact = {"filename": "model.gguf", "downloadUrl": f"https://huggingface.co/org/ajna/resolve/{commit}/model.gguf"}
    artifact |= told("model.gguf") | {"files": [{"path": "config.json"} | told("config.json")]}
    put(f"{folder}/index.json", json.dumps({"models": [{"id": "ajna-insight-v2", "artifact": artifact}]}))
    put(f"{folder}/flake.nix", HEAD.replace("@origin@", origin) + "".join(f"      {it}\n" for it in lines) + "    };\n}\n")


main(*sys.argv[1:])
