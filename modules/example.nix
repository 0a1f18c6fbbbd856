# A host as it could be: one model of the index, for an inference service that waits for it.
{ config, pkgs, ... }:
let
  weights = "${config.services.models.paths.vishuddha-minilm-v1}/model.safetensors";
in
{
  services.models = {
    enable = true;
    deployedModels = [ "vishuddha-minilm-v1" ];
    policy.licenses = [
      "Apache-2.0"
      "MIT"
    ];
    policy.formats = [ "safetensors" ];
  };

  systemd.services.embeddings = {
    description = "A service that uses the model";
    requires = [ "hallmark-model@vishuddha-minilm-v1.target" ];
    after = [ "hallmark-model@vishuddha-minilm-v1.target" ];
    # Started by the model's arrival, and not by the boot: neither a boot nor a switch waits for a download.
    wantedBy = [ "hallmark-model@vishuddha-minilm-v1.target" ];
    serviceConfig = {
      DynamicUser = true;
      SupplementaryGroups = [ config.services.models.group ];
      ExecStart = "${pkgs.coreutils}/bin/sha256sum ${weights}";
    };
  };

  # What every NixOS host needs; here it boots from nothing.
  boot.loader.grub.enable = false;
  fileSystems."/" = {
    device = "none";
    fsType = "tmpfs";
  };
  system.stateVersion = "26.05";
}
